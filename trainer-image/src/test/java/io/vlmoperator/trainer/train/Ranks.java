package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.dist.TcpRing;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Runs all workers of a job as threads of this process, joined over the loopback. */
final class Ranks {
    private static final int LOWEST_PORT = 24_000;
    private static final int HIGHEST_PORT = 32_000;
    private static final AtomicInteger NEXT = new AtomicInteger();

    private Ranks() {}

    /**
     * Waits for all.
     *
     * @return what each rank threw; empty where it completed
     */
    static List<Optional<Throwable>> train(TinyRun run, int world) throws IOException, InterruptedException {
        FrozenJob job = run.job(world);
        if (world == 1) {
            try {
                run.train(job, new Single());
                return List.of(Optional.empty());
            } catch (Exception | Error e) {
                return List.of(Optional.of(e));
            }
        }
        int port = freePorts(world);
        PeerSecret secret = PeerSecret.random();
        List<Optional<Throwable>> ends = new ArrayList<>();
        try (var threads = Executors.newCachedThreadPool()) {
            List<Future<?>> all = new ArrayList<>();
            for (int r = 0; r < world; r++) {
                int rank = r;
                all.add(threads.submit(() -> {
                    try (Communicator ring = TcpRing.connect(
                            new Membership(
                                    job.uid(),
                                    run.attempt,
                                    rank,
                                    world,
                                    secret,
                                    "127.0.0.1",
                                    port,
                                    Duration.ofSeconds(120),
                                    Duration.ofSeconds(300)),
                            Optional.of("127.0.0.1"),
                            Optional.empty())) {
                        run.train(job, ring);
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                try {
                    one.get(300, TimeUnit.SECONDS);
                    ends.add(Optional.empty());
                } catch (ExecutionException e) {
                    ends.add(Optional.of(e.getCause()));
                } catch (java.util.concurrent.TimeoutException e) {
                    threads.shutdownNow();
                    throw new IllegalStateException("a worker does not end", e);
                }
            }
        }
        return ends;
    }

    /** The first of {@code world} neighbouring ports that nobody uses, below those that the system gives away by itself. */
    static int freePorts(int world) throws IOException {
        int span = HIGHEST_PORT - LOWEST_PORT;
        int start = (int) (ProcessHandle.current().pid() * 64 % span);
        for (int tried = 0; tried < span; tried += 8) {
            int port = LOWEST_PORT + (start + NEXT.getAndAdd(8)) % span;
            List<ServerSocket> taken = new ArrayList<>();
            try {
                for (int r = 0; r < world; r++) {
                    taken.add(new ServerSocket(port + r, 1, InetAddress.getByName("127.0.0.1")));
                }
                return port;
            } catch (BindException used) {
                continue;
            } finally {
                for (ServerSocket socket : taken) {
                    socket.close();
                }
            }
        }
        throw new IOException("no " + world + " neighbouring ports are free");
    }
}
