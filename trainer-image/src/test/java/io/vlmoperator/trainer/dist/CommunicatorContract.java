package io.vlmoperator.trainer.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What every {@link Communicator} has to do, with ranks as threads. An implementation's test says how to join and where buffers lie. */
@Timeout(300)
abstract class CommunicatorContract {
    private static final Duration CONNECT = Duration.ofSeconds(60);
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int[] SIZES = {0, 1, 2, 3, 7, 64, 1000, 65_537, 200_003};
    private static final int GUARD = 3;

    private final PeerSecret secret = PeerSecret.random();
    private final int port = freePorts();

    /** The implementation's way to find the others. */
    abstract Communicator join(Membership membership);

    /** Largest world that this machine can try. */
    int maxWorld() {
        return 8;
    }

    /** A buffer of these elements where the implementation wants them. */
    Buffer put(Arena arena, DType type, byte[] elements) {
        MemorySegment memory = arena.allocate(Math.max(1, elements.length), 64).asSlice(0, elements.length);
        MemorySegment.copy(elements, 0, memory, ValueLayout.JAVA_BYTE, 0, elements.length);
        return new Buffer(memory, type);
    }

    /** What the buffer holds now. */
    byte[] get(Buffer buffer) {
        return buffer.memory().toArray(ValueLayout.JAVA_BYTE);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 8})
    void sums(int world) throws Exception {
        List<List<float[]>> results = each(world, LIMIT, (ring, arena) -> {
            List<float[]> mine = new ArrayList<>();
            for (int size : SIZES) {
                Buffer whole = put(arena, DType.FLOAT32, bytes(values(ring.rank(), size)));
                ring.allReduceSum(whole).await();
                mine.add(floats(get(whole)));
            }
            return mine;
        });
        for (int s = 0; s < SIZES.length; s++) {
            assertSum(results.getFirst().get(s), 0, SIZES[s], SIZES[s], world);
            for (List<float[]> other : results) {
                assertThat(other.get(s))
                        .as("the same bits on every rank")
                        .isEqualTo(results.getFirst().get(s));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void everyRankGetsTheSumOfItsPart(int world) throws Exception {
        each(world, LIMIT, (ring, arena) -> {
            for (int size : SIZES) {
                // What lies beside the buffer stays.
                float[] values = new float[size + 2 * GUARD];
                Arrays.fill(values, 42);
                System.arraycopy(values(ring.rank(), size), 0, values, GUARD, size);
                Buffer padded = put(arena, DType.FLOAT32, bytes(values));
                ring.reduceScatterSum(padded.slice(GUARD, GUARD + size)).await();
                float[] after = floats(get(padded));
                Part part = Part.of(size, ring.rank(), world);
                assertSum(
                        Arrays.copyOfRange(after, GUARD + (int) part.from(), GUARD + (int) part.to()),
                        (int) part.from(),
                        (int) part.to(),
                        size,
                        world);
                assertThat(Arrays.copyOf(after, GUARD)).containsOnly(42);
                assertThat(Arrays.copyOfRange(after, GUARD + size, after.length))
                        .containsOnly(42);
            }
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void partsComeFromWhomTheyBelongTo(int world) throws Exception {
        each(world, LIMIT, (ring, arena) -> {
            for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
                for (int size : SIZES) {
                    byte[] own = new byte[size * type.bytes()];
                    Arrays.fill(own, (byte) -1);
                    Part part = Part.of(size, ring.rank(), world);
                    Arrays.fill(own, (int) part.from() * type.bytes(), (int) part.to() * type.bytes(), (byte)
                            (ring.rank() + 1));
                    Buffer buffer = put(arena, type, own);
                    ring.allGather(buffer).await();
                    byte[] wanted = new byte[own.length];
                    for (int rank = 0; rank < world; rank++) {
                        Part theirs = Part.of(size, rank, world);
                        Arrays.fill(wanted, (int) theirs.from() * type.bytes(), (int) theirs.to() * type.bytes(), (byte)
                                (rank + 1));
                    }
                    assertThat(get(buffer)).as(size + " of " + type).isEqualTo(wanted);
                }
            }
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void whatIsStartedIsDoneInOrderBesideTheCaller(int world) throws Exception {
        each(world, LIMIT, (ring, arena) -> {
            List<Buffer> buffers = new ArrayList<>();
            List<Communicator.Pending> pending = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                Buffer buffer = put(arena, DType.FLOAT32, bytes(values(ring.rank(), 1000 * i + 1)));
                buffers.add(buffer);
                ring.reduceScatterSum(buffer);
                pending.add(ring.allGather(buffer));
            }
            // Waits for all of the above.
            assertThat(ring.allGather(new byte[] {(byte) ring.rank()})).hasNumberOfRows(world);
            for (int i = pending.size() - 1; i >= 0; i--) {
                pending.get(i).await();
                pending.get(i).await();
                int size = 1000 * i + 1;
                assertSum(floats(get(buffers.get(i))), 0, size, size, world);
            }
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void broadcastsAndMessages(int world) throws Exception {
        each(world, LIMIT, (ring, arena) -> {
            for (int size : new int[] {0, 1, 1_000_003}) {
                MemorySegment bytes = arena.allocate(Math.max(1, size)).asSlice(0, size);
                bytes.fill((byte) (ring.rank() + 5));
                ring.broadcast(bytes);
                assertThat(bytes.toArray(ValueLayout.JAVA_BYTE)).containsOnly(size == 0 ? new byte[0] : new byte[] {5});
            }
            // Short ones, ones around 60 bytes, long ones; of different lengths on neighbours, also with the longest
            // first.
            for (int times : new int[] {3, 30, 59, 60, 61, 9000}) {
                for (boolean backwards : new boolean[] {false, true}) {
                    byte[] own = new byte[times * (backwards ? world - 1 - ring.rank() : ring.rank())];
                    Arrays.fill(own, (byte) (ring.rank() + 1));
                    byte[][] all = ring.allGather(own);
                    assertThat(all.length).isEqualTo(world);
                    for (int rank = 0; rank < world; rank++) {
                        byte[] wanted = new byte[times * (backwards ? world - 1 - rank : rank)];
                        Arrays.fill(wanted, (byte) (rank + 1));
                        assertThat(all[rank]).isEqualTo(wanted);
                    }
                }
            }
            ring.barrier();
            assertThatThrownBy(() -> ring.allGather(new byte[Communicator.MAX_MESSAGE_BYTES + 1]))
                    .isInstanceOf(IllegalArgumentException.class);
            return null;
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4, 8})
    void deadRankIsPeerLost(int world) throws Exception {
        List<ExitCode> codes = each(world, LIMIT, (ring, arena) -> {
            ring.barrier();
            if (ring.rank() == world - 1) {
                ring.close();
                return ExitCode.Killed;
            }
            ExitCode first = codeOf(() -> {
                sum(ring, arena, 500_000);
                sum(ring, arena, 500_000);
            });
            assertThat(codeOf(() -> sum(ring, arena, 1))).as("and so it stays").isEqualTo(first);
            assertThat(codeOf(ring::barrier)).isEqualTo(first);
            return first;
        });
        assertThat(codes.subList(0, world - 1)).containsOnly(ExitCode.PeerLost);
    }

    @Test
    void lateRankIsCollectiveTimeout() throws Exception {
        CountDownLatch noticed = new CountDownLatch(1);
        List<ExitCode> codes = each(2, Duration.ofMillis(400), (ring, arena) -> {
            if (ring.rank() == 1) {
                noticed.await(60, TimeUnit.SECONDS);
                return ExitCode.Killed;
            }
            ExitCode code = codeOf(() -> sum(ring, arena, 10));
            noticed.countDown();
            return code;
        });
        assertThat(codes.getFirst()).isEqualTo(ExitCode.CollectiveTimeout);
    }

    @Test
    void closingEndsWhatWaits() throws Exception {
        CountDownLatch closed = new CountDownLatch(1);
        each(2, LIMIT, (ring, arena) -> {
            ring.barrier();
            if (ring.rank() == 0) {
                // Nobody answers these; closing may not wait for an answer.
                ring.reduceScatterSum(put(arena, DType.FLOAT32, new byte[4000]));
                ring.allGather(put(arena, DType.FLOAT32, new byte[4000]));
                ring.close();
                closed.countDown();
            } else {
                assertThat(closed.await(50, TimeUnit.SECONDS)).isTrue();
            }
            return null;
        });
    }

    @Test
    void ranksThatDoDifferentThingsFindOut() throws Exception {
        assertThat(each(2, LIMIT, (ring, arena) -> codeOf(() -> sum(ring, arena, 10 + ring.rank()))))
                .contains(ExitCode.InternalError);
        assertThat(each(
                        2,
                        LIMIT,
                        (ring, arena) -> codeOf(() -> {
                            Buffer buffer = put(arena, DType.FLOAT32, new byte[400]);
                            (ring.rank() == 0 ? ring.reduceScatterSum(buffer) : ring.allGather(buffer)).await();
                        })))
                .contains(ExitCode.InternalError);
    }

    @Test
    void foreignPeersAreRefusedAndTheRightOneStillJoins() throws Exception {
        Assumptions.assumeTrue(maxWorld() > 1);
        Duration little = Duration.ofSeconds(1);
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Communicator> zero = threads.submit(() -> join(member("job", 2, 0, 2, secret, CONNECT)));
            List<Membership> foreign = List.of(
                    member("job", 1, 1, 2, secret, little),
                    member("another", 2, 1, 2, secret, little),
                    member("job", 2, 2, 3, secret, little),
                    member("job", 2, 1, 2, PeerSecret.random(), little));
            for (Membership member : foreign) {
                assertThat(codeOf(() -> join(member).close())).isEqualTo(ExitCode.CollectiveTimeout);
            }
            try (Socket noise = new Socket(InetAddress.getLoopbackAddress(), port)) {
                noise.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            }
            try (Communicator one = join(member("job", 2, 1, 2, secret, CONNECT));
                    Communicator first = zero.get()) {
                Future<?> other = threads.submit(one::barrier);
                first.barrier();
                other.get();
            }
        }
    }

    @Test
    void rankZeroWithAnotherSecretIsRefused() throws Exception {
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<ExitCode> impostor = threads.submit(
                    () -> codeOf(() -> join(member("job", 1, 0, 2, PeerSecret.random(), Duration.ofSeconds(3)))
                            .close()));
            assertThat(codeOf(() -> join(member("job", 1, 1, 2, secret, Duration.ofSeconds(2)))
                            .close()))
                    .isEqualTo(ExitCode.CollectiveTimeout);
            assertThat(impostor.get()).isEqualTo(ExitCode.CollectiveTimeout);
        }
    }

    @Test
    void missingRankIsNamed() {
        assertThatThrownBy(() -> join(member("job", 1, 0, 3, secret, Duration.ofMillis(300))))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.CollectiveTimeout))
                .hasMessageContaining("ranks 1, 2 have not joined");
        assertThatThrownBy(() -> join(member("job", 1, 1, 3, secret, Duration.ofMillis(300))))
                .hasMessageContaining("could not join rank 0 at 127.0.0.1:" + port);
    }

    interface Work {
        void run() throws Exception;
    }

    interface RankWork<T> {
        T run(Communicator ring, Arena arena) throws Exception;
    }

    private static ExitCode codeOf(Work work) throws Exception {
        try {
            work.run();
            return ExitCode.Completed;
        } catch (TrainerException e) {
            return e.code();
        }
    }

    private Membership member(String job, int attempt, int rank, int world, PeerSecret known, Duration connect) {
        return new Membership(job, attempt, rank, world, known, "127.0.0.1", port, connect, LIMIT);
    }

    <T> List<T> each(int world, Duration limit, RankWork<T> work) throws Exception {
        Assumptions.assumeTrue(world <= maxWorld(), "this machine has room for " + maxWorld() + " ranks");
        try (var threads =
                Executors.newThreadPerTaskExecutor(Thread.ofPlatform().daemon().factory())) {
            List<Future<T>> futures = new ArrayList<>();
            for (int r = 0; r < world; r++) {
                Membership member = new Membership("job", 1, r, world, secret, "127.0.0.1", port, CONNECT, limit);
                Callable<T> task = () -> {
                    try (Arena arena = Arena.ofShared();
                            Communicator ring = join(member)) {
                        return work.run(ring, arena);
                    }
                };
                futures.add(threads.submit(task));
            }
            List<T> results = new ArrayList<>();
            for (Future<T> future : futures) {
                try {
                    results.add(future.get(200, TimeUnit.SECONDS));
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof Error error) {
                        throw error;
                    }
                    throw e.getCause() instanceof Exception cause ? cause : e;
                }
            }
            return results;
        }
    }

    private void sum(Communicator ring, Arena arena, int size) {
        ring.allReduceSum(put(arena, DType.FLOAT32, bytes(values(ring.rank(), size))))
                .await();
    }

    private static float value(int rank, int i) {
        return (float) Math.sin(rank * 1.7 + i * 0.31) * (1 + rank);
    }

    private static float[] values(int rank, int size) {
        float[] values = new float[size];
        IntStream.range(0, size).forEach(i -> values[i] = value(rank, i));
        return values;
    }

    private static void assertSum(float[] found, int from, int to, int size, int world) {
        assertThat(found).hasSize(to - from);
        for (int i = from; i < to; i++) {
            double wanted = 0;
            for (int rank = 0; rank < world; rank++) {
                wanted += value(rank, i);
            }
            if (!(Math.abs(found[i - from] - wanted) <= 1e-5 * (1 + Math.abs(wanted)))) {
                assertThat((double) found[i - from])
                        .as("element " + i + " of " + size)
                        .isCloseTo(wanted, within(1e-5));
            }
        }
    }

    private static byte[] bytes(float[] floats) {
        MemorySegment all = MemorySegment.ofArray(new byte[floats.length * Float.BYTES]);
        MemorySegment.copy(floats, 0, all, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, floats.length);
        return all.toArray(ValueLayout.JAVA_BYTE);
    }

    private static float[] floats(byte[] bytes) {
        return MemorySegment.ofArray(bytes).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    /** A port below the range that systems hand out, free together with the next ones. */
    static int freePorts() {
        for (int candidate = 21_000 + (int) (System.nanoTime() % 600) * 16; candidate < 32_000; candidate += 16) {
            boolean free = true;
            for (int p = candidate; p < candidate + 8 && free; p++) {
                try (ServerSocket socket = new ServerSocket()) {
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
