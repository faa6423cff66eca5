package io.vlmoperator.trainer.dist;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Two neighbours, the connection from the first to the second led through a proxy that is cut or falls silent: both end, and say whom they lost. */
@Timeout(300)
class BrokenNetworkTest {
    private static final Duration PATIENT = Duration.ofMinutes(4);
    private static final Duration IMPATIENT = Duration.ofSeconds(2);
    private static final int HEALTHY = 50;
    private static final int BYTES = 100_000;

    private final ExecutorService threads = Executors.newCachedThreadPool();

    /** Copies bytes from one socket to another until it is told not to. */
    private final class Proxy implements AutoCloseable {
        private final ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        private final Socket onward;
        private Socket incoming;
        private volatile boolean silent;

        Proxy(InetSocketAddress target) throws IOException {
            onward = new Socket(target.getAddress(), target.getPort());
        }

        InetSocketAddress address() {
            return (InetSocketAddress) listener.getLocalSocketAddress();
        }

        void forward() throws IOException {
            incoming = listener.accept();
            threads.submit(() -> {
                byte[] bytes = new byte[8192];
                for (int n = incoming.getInputStream().read(bytes);
                        n >= 0;
                        n = incoming.getInputStream().read(bytes)) {
                    // Half open: nobody hears of anything, and nothing arrives any more.
                    if (!silent) {
                        onward.getOutputStream().write(bytes, 0, n);
                    }
                }
                return null;
            });
        }

        @Override
        public void close() throws IOException {
            listener.close();
            incoming.close();
            onward.close();
        }
    }

    @AfterEach
    void end() {
        threads.shutdownNow();
    }

    /** What both ranks said, when the connection broke after some healthy exchanges. */
    private TrainerException[] broken(Duration limit, boolean cut) throws Exception {
        try (ServerSocketChannel first = listener();
                ServerSocketChannel second = listener();
                Proxy proxy = new Proxy((InetSocketAddress) second.getLocalAddress())) {
            SocketChannel fromProxy = second.accept();
            SocketChannel toProxy = SocketChannel.open(proxy.address());
            proxy.forward();
            SocketChannel back = SocketChannel.open(first.getLocalAddress());
            SocketChannel fromSecond = first.accept();
            CountDownLatch healthy = new CountDownLatch(2);
            try (Wire zero = new Wire(toProxy, "rank 1", fromSecond, "rank 1");
                    Wire one = new Wire(back, "rank 0", fromProxy, "rank 0")) {
                Future<TrainerException> a = threads.submit(() -> exchange(zero, limit, healthy));
                Future<TrainerException> b = threads.submit(() -> exchange(one, limit, healthy));
                assertThat(healthy.await(200, TimeUnit.SECONDS)).isTrue();
                if (cut) {
                    proxy.incoming.close();
                    proxy.onward.close();
                } else {
                    proxy.silent = true;
                }
                return new TrainerException[] {a.get(200, TimeUnit.SECONDS), b.get(200, TimeUnit.SECONDS)};
            }
        }
    }

    private static ServerSocketChannel listener() throws IOException {
        return ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    }

    /** As a worker does it: whoever fails closes what it has, and goes. */
    private static TrainerException exchange(Wire wire, Duration limit, CountDownLatch healthy) throws SocketException {
        for (long i = 1; ; i++) {
            try {
                // The first ones have all the time of a slow machine.
                wire.exchange(
                        ByteBuffer.allocate(BYTES),
                        ByteBuffer.allocate(BYTES),
                        i <= HEALTHY ? PATIENT : limit,
                        "all-reduce " + i);
            } catch (TrainerException e) {
                wire.close();
                return e;
            }
            if (i == HEALTHY) {
                healthy.countDown();
            }
        }
    }

    @Test
    void aCutConnectionIsNoticedAtOnceByBoth() throws Exception {
        for (TrainerException end : broken(PATIENT, true)) {
            assertThat(end.code()).as(end.getMessage()).isEqualTo(ExitCode.PeerLost);
            assertThat(end).hasMessageContaining("rank");
        }
    }

    @Test
    void aHalfOpenConnectionEndsWithinTheLimitAndNamesThePeer() throws Exception {
        TrainerException[] ends = broken(IMPATIENT, false);
        assertThat(ends[1].code()).as(ends[1].getMessage()).isEqualTo(ExitCode.CollectiveTimeout);
        assertThat(ends[1]).hasMessageContaining("waited 2 s for rank 0 in all-reduce");
        assertThat(ends[0].code()).as(ends[0].getMessage()).isIn(ExitCode.PeerLost, ExitCode.CollectiveTimeout);
    }
}
