package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Buffer;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.Part;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.TcpRing;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The ring's reduce-scatter and all-gather against a plain copy over sockets: the same bytes between the same two ranks in the same
 * directions at the same time, where one thread of each rank does nothing but write, and another nothing but read. The three take turns, so that
 * other work on the machine hits all alike; what counts is the median of the rounds' ratios.
 */
final class RingBench {
    private static final int WORLD = 2;
    private static final int MESSAGES = 200;
    private static final long BYTES = 64L << 20;
    private static final int PIECE = 1 << 18;
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final double GOAL = 0.7;

    private RingBench() {}

    /** Bytes per second that a rank sent, in one round, and the time of a step's message. */
    private record Round(double reduceScatter, double allGather, double plain, double messageSeconds) {}

    static List<BenchRow> run(int rounds) {
        int port = Children.freePorts(WORLD);
        PeerSecret secret = PeerSecret.random();
        List<Round> all;
        try (ServerSocketChannel server = ServerSocketChannel.open();
                var threads = Executors.newThreadPerTaskExecutor(
                        Thread.ofPlatform().daemon().factory())) {
            server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            SocketChannel one = SocketChannel.open(server.getLocalAddress());
            SocketChannel two = server.accept();
            try (one;
                    two) {
                one.setOption(StandardSocketOptions.TCP_NODELAY, true);
                two.setOption(StandardSocketOptions.TCP_NODELAY, true);
                List<Future<List<Round>>> ranks = new ArrayList<>();
                for (int r = 0; r < WORLD; r++) {
                    SocketChannel channel = r == 0 ? one : two;
                    Membership member = new Membership("bench", 1, r, WORLD, secret, "127.0.0.1", port, LIMIT, LIMIT);
                    Callable<List<Round>> work = () -> rank(member, channel, rounds);
                    ranks.add(threads.submit(work));
                }
                all = ranks.getFirst().get();
                ranks.getLast().get();
            }
        } catch (IOException | ExecutionException e) {
            throw TrainerException.storage("bench-scaling: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        double plain = median(all.stream().mapToDouble(Round::plain));
        String beside = "plain copy over sockets, %.0f MB/s a rank".formatted(plain / 1e6);
        return List.of(
                BenchRow.beside(
                        "reduce-scatter of 64 MiB, 2 ranks: sent by each",
                        median(all.stream().mapToDouble(Round::reduceScatter)) / 1e6,
                        "MB/s",
                        plain / 1e6),
                BenchRow.atLeast(
                        "reduce-scatter / plain copy",
                        median(all.stream().mapToDouble(round -> round.reduceScatter() / round.plain())),
                        GOAL,
                        beside),
                BenchRow.beside(
                        "all-gather of 64 MiB, 2 ranks: sent by each",
                        median(all.stream().mapToDouble(Round::allGather)) / 1e6,
                        "MB/s",
                        plain / 1e6),
                BenchRow.atLeast(
                        "all-gather / plain copy",
                        median(all.stream().mapToDouble(round -> round.allGather() / round.plain())),
                        GOAL,
                        beside),
                BenchRow.plain(
                        "a step's message of 50 bytes to all, a stop of the ring",
                        median(all.stream().mapToDouble(Round::messageSeconds)) * 1e6,
                        "microseconds"));
    }

    private static double median(java.util.stream.DoubleStream values) {
        double[] sorted = values.sorted().toArray();
        return sorted[sorted.length / 2];
    }

    private static List<Round> rank(Membership member, SocketChannel channel, int rounds) throws IOException {
        List<Round> results = new ArrayList<>();
        try (Arena arena = Arena.ofShared();
                Communicator ring = TcpRing.connect(member, Optional.of("127.0.0.1"), Optional.empty())) {
            Buffer buffer = Buffer.floats(arena.allocate(BYTES, 64));
            long sent = Part.of(buffer.count(), member.rank(), WORLD).count() * Float.BYTES;
            ByteBuffer out = buffer.memory().asSlice(0, sent).asByteBuffer();
            ByteBuffer in = buffer.memory().asSlice(BYTES - sent, sent).asByteBuffer();
            // The first rounds warm up.
            for (int round = -2; round < rounds; round++) {
                double reduce =
                        rate(sent, ring, () -> ring.reduceScatterSum(buffer).await());
                double gather = rate(sent, ring, () -> ring.allGather(buffer).await());
                double plain = rate(sent, ring, () -> copy(channel, out.clear(), in.clear()));
                double message = message(ring);
                if (round >= 0) {
                    results.add(new Round(reduce, gather, plain, message));
                }
            }
        }
        return results;
    }

    /** Seconds. */
    private static double message(Communicator ring) {
        byte[] own = new byte[50];
        ring.barrier();
        long began = System.nanoTime();
        for (int i = 0; i < MESSAGES; i++) {
            ring.allGather(own);
        }
        return (System.nanoTime() - began) / 1e9 / MESSAGES / (WORLD - 1);
    }

    private static double rate(long bytes, Communicator ring, Runnable work) {
        ring.barrier();
        long began = System.nanoTime();
        work.run();
        ring.barrier();
        return bytes / ((System.nanoTime() - began) / 1e9);
    }

    private static void copy(SocketChannel channel, ByteBuffer out, ByteBuffer in) {
        Thread writer = Thread.ofPlatform().start(() -> {
            try {
                while (out.hasRemaining()) {
                    out.limit(Math.min(out.capacity(), out.position() + PIECE));
                    channel.write(out);
                    out.limit(out.capacity());
                }
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
        try {
            while (in.hasRemaining()) {
                in.limit(Math.min(in.capacity(), in.position() + PIECE));
                if (channel.read(in) < 0) {
                    throw new IllegalStateException("the other side has gone");
                }
                in.limit(in.capacity());
            }
            writer.join();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
