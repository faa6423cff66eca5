package io.vlmoperator.trainer.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What every Communicator has to do, tried on the TCP ring with ranks as threads. */
@Timeout(60)
class CommunicatorTest {
    private static final Duration CONNECT = Duration.ofSeconds(20);
    private final int port = freePorts();

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void sumsAndCopies(int world) throws Exception {
        List<Long> sizes = List.of(0L, 1L, 2L, 3L, 7L, 1000L, 65_536L, 65_537L, 300_001L);
        List<List<float[]>> results = each(world, Duration.ofSeconds(20), ring -> {
            List<float[]> mine = new ArrayList<>();
            for (long size : sizes) {
                mine.add(sum(ring, (int) size));
            }
            return mine;
        });
        for (int s = 0; s < sizes.size(); s++) {
            for (int i = 0; i < sizes.get(s); i++) {
                double wanted = 0;
                for (int rank = 0; rank < world; rank++) {
                    wanted += value(rank, i);
                }
                assertThat((double) results.getFirst().get(s)[i])
                        .isCloseTo(wanted, within(1e-5 * (1 + Math.abs(wanted))));
            }
            for (List<float[]> other : results) {
                assertThat(other.get(s))
                        .as("the same bits on every rank")
                        .isEqualTo(results.getFirst().get(s));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void broadcastsAndGathers(int world) throws Exception {
        each(world, Duration.ofSeconds(20), ring -> {
            try (Arena arena = Arena.ofConfined()) {
                for (int size : new int[] {0, 1, 1_000_003}) {
                    MemorySegment bytes = arena.allocate(Math.max(1, size)).asSlice(0, size);
                    bytes.fill((byte) (ring.rank() + 5));
                    ring.broadcast(bytes);
                    assertThat(bytes.toArray(ValueLayout.JAVA_BYTE))
                            .containsOnly(size == 0 ? new byte[0] : new byte[] {5});
                }
            }
            byte[][] all = ring.allGather(new byte[ring.rank() * 3]);
            assertThat(all.length).isEqualTo(world);
            for (int rank = 0; rank < world; rank++) {
                assertThat(all[rank]).hasSize(rank * 3);
            }
            ring.barrier();
            return null;
        });
    }

    @Test
    void messagesAreBounded() throws Exception {
        each(1, Duration.ofSeconds(5), ring -> {
            assertThatThrownBy(() -> ring.allGather(new byte[Communicator.MAX_MESSAGE_BYTES + 1]))
                    .isInstanceOf(IllegalArgumentException.class);
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void deadRankIsPeerLost(int world) throws Exception {
        List<ExitCode> codes = each(world, Duration.ofSeconds(20), ring -> {
            ring.barrier();
            if (ring.rank() == world - 1) {
                ring.close();
                return ExitCode.Killed;
            }
            return codeOf(() -> {
                sum(ring, 500_000);
                sum(ring, 500_000);
            });
        });
        assertThat(codes.subList(0, world - 1)).containsOnly(ExitCode.PeerLost);
    }

    @Test
    void lateRankIsCollectiveTimeout() throws Exception {
        CountDownLatch noticed = new CountDownLatch(1);
        List<ExitCode> codes = each(2, Duration.ofMillis(400), ring -> {
            ring.barrier();
            if (ring.rank() == 1) {
                noticed.await(20, TimeUnit.SECONDS);
                return ExitCode.Killed;
            }
            ExitCode code = codeOf(() -> sum(ring, 10));
            noticed.countDown();
            return code;
        });
        assertThat(codes.getFirst()).isEqualTo(ExitCode.CollectiveTimeout);
    }

    @Test
    void ranksThatDoDifferentThingsFindOut() throws Exception {
        List<ExitCode> codes = each(2, Duration.ofSeconds(5), ring -> codeOf(() -> sum(ring, 10 + ring.rank())));
        assertThat(codes).contains(ExitCode.InternalError);
    }

    @Test
    void foreignAttemptIsRefusedAndTheRightOneStillJoins() throws Exception {
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<TcpRing> zero = threads.submit(() -> join("job", 2, 0, 2, CONNECT));
            ExitCode foreign = codeOf(() -> join("job", 1, 1, 2, Duration.ofSeconds(1)));
            ExitCode otherJob = codeOf(() -> join("another", 2, 1, 2, Duration.ofSeconds(1)));
            ExitCode otherWorld = codeOf(() -> join("job", 2, 2, 3, Duration.ofSeconds(1)));
            assertThat(List.of(foreign, otherJob, otherWorld)).containsOnly(ExitCode.CollectiveTimeout);
            try (Socket noise = new Socket(InetAddress.getLoopbackAddress(), port)) {
                noise.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            }
            try (TcpRing one = join("job", 2, 1, 2, CONNECT);
                    TcpRing first = zero.get()) {
                Future<?> other = threads.submit(one::barrier);
                first.barrier();
                other.get();
            }
        }
    }

    @Test
    void missingRankIsNamed() {
        assertThatThrownBy(() -> join("job", 1, 0, 3, Duration.ofMillis(300)))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.CollectiveTimeout))
                .hasMessageContaining("ranks 1, 2 have not joined");
        assertThatThrownBy(() -> join("job", 1, 1, 3, Duration.ofMillis(300)))
                .hasMessageContaining("could not join rank 0 at 127.0.0.1:" + port);
    }

    private interface Work {
        void run() throws Exception;
    }

    private interface RankWork<T> {
        T run(Communicator ring) throws Exception;
    }

    private static ExitCode codeOf(Work work) throws Exception {
        try {
            work.run();
            return ExitCode.Completed;
        } catch (TrainerException e) {
            return e.code();
        }
    }

    private TcpRing join(String job, int attempt, int rank, int world, Duration connect) {
        return TcpRing.connect(
                new Membership(job, attempt, rank, world, "127.0.0.1", port, connect, Duration.ofSeconds(20)),
                Optional.of("127.0.0.1"),
                Optional.empty());
    }

    private <T> List<T> each(int world, Duration limit, RankWork<T> work) throws Exception {
        try (var threads =
                Executors.newThreadPerTaskExecutor(Thread.ofPlatform().daemon().factory())) {
            List<Future<T>> futures = new ArrayList<>();
            for (int r = 0; r < world; r++) {
                Membership member = new Membership("job", 1, r, world, "127.0.0.1", port, CONNECT, limit);
                Callable<T> task = () -> {
                    try (TcpRing ring = TcpRing.connect(member, Optional.of("127.0.0.1"), Optional.empty())) {
                        return work.run(ring);
                    }
                };
                futures.add(threads.submit(task));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> future : futures) {
                try {
                    results.add(future.get(40, TimeUnit.SECONDS));
                } catch (ExecutionException e) {
                    throw e.getCause() instanceof Exception cause ? cause : e;
                }
            }
            return results;
        }
    }

    private static float value(int rank, int i) {
        return (float) Math.sin(rank * 1.7 + i * 0.31) * (1 + rank);
    }

    private static float[] sum(Communicator ring, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment floats = arena.allocate(Math.max(4, size * 4L), 4).asSlice(0, size * 4L);
            for (int i = 0; i < size; i++) {
                floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, value(ring.rank(), i));
            }
            ring.allReduceSum(floats);
            return floats.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    private static org.assertj.core.data.Offset<Double> within(double offset) {
        return org.assertj.core.data.Offset.offset(offset);
    }

    /** A port below the range that systems hand out, free together with the next three. */
    private static int freePorts() {
        for (int candidate = 21_000 + (int) (System.nanoTime() % 997) * 8; candidate < 32_000; candidate += 8) {
            boolean free = true;
            for (int p = candidate; p < candidate + 4 && free; p++) {
                try (java.net.ServerSocket socket = new java.net.ServerSocket()) {
                    socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), p));
                } catch (java.io.IOException e) {
                    free = false;
                }
            }
            if (free) {
                return candidate;
            }
        }
        throw new IllegalStateException("no free ports");
    }
}
