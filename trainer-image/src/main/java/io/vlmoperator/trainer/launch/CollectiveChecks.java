package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Buffer;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.NcclCommunicator;
import io.vlmoperator.trainer.dist.Part;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The contract of a {@link Communicator} between processes that compute on what this machine has, as the tests have it between threads: values
 * of all operations with odd sizes, ranks of another attempt, world or secret, one that is late, one that dies. Every check meets on the
 * same port, as an attempt of its own.
 */
final class CollectiveChecks {
    private static final int[] SIZES = {0, 1, 2, 3, 7, 64, 1000, 65_537, 200_003};
    private static final int GUARD = 3;
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final Duration SHORT = Duration.ofSeconds(5);
    private static final float UNTOUCHED = 42;
    private static final float FOREIGN = -1;

    private final int rank;
    private final int world;
    private final int port;
    private final PeerSecret secret;
    private final boolean host = Torch.start().device().isHost();
    private final Consumer<String> log;

    CollectiveChecks(int rank, int world, int port, PeerSecret secret, Consumer<String> log) {
        this.rank = rank;
        this.world = world;
        this.port = port;
        this.secret = secret;
        this.log = log;
    }

    /** Joins the others; over NCCL where there is a GPU. */
    Communicator join(int attempt, Duration limit) {
        return join(attempt, world, rank, secret, PATIENCE, limit);
    }

    private Communicator join(int attempt, int ranks, int as, PeerSecret known, Duration connect, Duration limit) {
        Membership membership = new Membership("bench", attempt, as, ranks, known, "127.0.0.1", port, connect, limit);
        Communicator ring = TcpRing.connect(membership, Optional.of("127.0.0.1"), Optional.empty());
        return host ? ring : NcclCommunicator.over(ring, connect, limit, log);
    }

    /**
     * All checks; the last rank dies after them, so nothing else may follow there.
     *
     * @return their names
     * @throws TrainerException InternalError with what was expected
     */
    List<String> all(int attempt) {
        List<String> names = new ArrayList<>();
        try (Communicator ranks = join(attempt, PATIENCE);
                Scope scope = Scope.open()) {
            sums(ranks, scope);
            names.add("sums of %d sizes from 0 to %,d, the same bits on all ranks".formatted(SIZES.length, 200_003));
            parts(ranks, scope);
            names.add("reduce-scatter and all-gather of the same, FLOAT32 and BFLOAT16, and nothing beside them");
            inOrder(ranks, scope);
            names.add("24 operations under way at once, done in order");
            messages(ranks);
            names.add("broadcasts and messages of the host");
            lateButInTime(ranks, scope);
            names.add("a rank that is 2 s late is waited for");
        }
        foreign(attempt + 1);
        names.add("ranks of another attempt, world size or secret are refused, the right one joins");
        Communicator before = late(attempt + 2);
        names.add("a rank that is later than the limit: CollectiveTimeout, and so it stays");
        closing(attempt + 3, before);
        names.add("closing ends what nobody answers");
        return names;
    }

    /** The last rank ends without a word; the others find out. Called last. */
    String dead(int attempt) {
        Communicator ranks = join(attempt, host ? PATIENCE : SHORT.multipliedBy(4));
        Scope scope = Scope.open();
        ranks.barrier();
        if (rank == world - 1) {
            Runtime.getRuntime().halt(0);
        }
        // A dead process's kernel is silent, not gone: over NCCL the limit may be what notices it.
        Set<ExitCode> wanted =
                host ? EnumSet.of(ExitCode.PeerLost) : EnumSet.of(ExitCode.PeerLost, ExitCode.CollectiveTimeout);
        ExitCode first = code(() -> {
            sum(ranks, scope, 500_000);
            sum(ranks, scope, 500_000);
            ranks.barrier();
        });
        require(wanted.contains(first), "a rank died: " + wanted, first);
        require(code(ranks::barrier) == first, "the same as before, " + first, "something else");
        ranks.close();
        return "a rank that dies: " + first + ", and so it stays";
    }

    private void sums(Communicator ranks, Scope scope) {
        for (int size : SIZES) {
            float[] found = sum(ranks, scope, size);
            requireSum(found, 0, size);
            byte[][] all = ranks.allGather(
                    Integer.toString(Arrays.hashCode(found)).getBytes(java.nio.charset.StandardCharsets.US_ASCII));
            for (byte[] other : all) {
                require(Arrays.equals(other, all[0]), "the same bits on all ranks", "others, of " + size + " elements");
            }
        }
    }

    private void parts(Communicator ranks, Scope scope) {
        for (int size : SIZES) {
            // What lies beside the buffer stays.
            float[] padded = new float[size + 2 * GUARD];
            Arrays.fill(padded, UNTOUCHED);
            System.arraycopy(values(rank, size), 0, padded, GUARD, size);
            try (Scope local = scope.child()) {
                Tensor tensor = local.floats(padded);
                ranks.reduceScatterSum(Buffer.floats(tensor.address()).slice(GUARD, GUARD + size))
                        .await();
                float[] after = tensor.floats();
                Part own = Part.of(size, rank, world);
                requireSum(
                        Arrays.copyOfRange(after, GUARD + (int) own.from(), GUARD + (int) own.to()),
                        (int) own.from(),
                        (int) own.to());
                for (int i = 0; i < GUARD; i++) {
                    require(
                            after[i] == UNTOUCHED && after[after.length - 1 - i] == UNTOUCHED,
                            "nothing written beside the buffer of " + size,
                            after[i]);
                }
            }
            gathered(ranks, scope, size, DType.FLOAT32);
            gathered(ranks, scope, size, DType.BFLOAT16);
        }
    }

    private void gathered(Communicator ranks, Scope scope, int size, DType type) {
        try (Scope local = scope.child()) {
            float[] own = new float[size];
            Arrays.fill(own, FOREIGN);
            Part mine = Part.of(size, rank, world);
            Arrays.fill(own, (int) mine.from(), (int) mine.to(), rank + 1);
            Tensor tensor = local.ops().cast(local.floats(own), type);
            ranks.allGather(new Buffer(tensor.address(), type)).await();
            float[] after = local.ops().cast(tensor, DType.FLOAT32).floats();
            for (int other = 0; other < world; other++) {
                Part theirs = Part.of(size, other, world);
                for (int i = (int) theirs.from(); i < theirs.to(); i++) {
                    require(after[i] == other + 1, "part of rank " + other + " in " + size + " of " + type, after[i]);
                }
            }
        }
    }

    private void inOrder(Communicator ranks, Scope scope) {
        try (Scope local = scope.child()) {
            List<Tensor> tensors = new ArrayList<>();
            List<Communicator.Pending> pending = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                Tensor tensor = local.floats(values(rank, 1000 * i + 1));
                tensors.add(tensor);
                ranks.reduceScatterSum(Buffer.floats(tensor.address()));
                pending.add(ranks.allGather(Buffer.floats(tensor.address())));
            }
            for (int i = pending.size() - 1; i >= 0; i--) {
                pending.get(i).await();
                requireSum(tensors.get(i).floats(), 0, 1000 * i + 1);
            }
        }
    }

    private void messages(Communicator ranks) {
        try (Arena arena = Arena.ofShared()) { // the ring reads it on a thread of its own
            for (int size : new int[] {0, 1, 1_000_003}) {
                MemorySegment bytes = arena.allocate(Math.max(1, size)).asSlice(0, size);
                bytes.fill((byte) (rank + 5));
                ranks.broadcast(bytes);
                for (long i = 0; i < size; i++) {
                    require(bytes.get(ValueLayout.JAVA_BYTE, i) == 5, "rank 0's bytes", "others");
                }
            }
        }
        byte[][] all = ranks.allGather(new byte[rank * 3]);
        for (int other = 0; other < world; other++) {
            require(all[other].length == other * 3, "a message of " + other * 3 + " bytes", all[other].length);
        }
    }

    private void lateButInTime(Communicator ranks, Scope scope) {
        if (rank == world - 1) {
            sleep(Duration.ofSeconds(2));
        }
        requireSum(sum(ranks, scope, 1000), 0, 1000);
    }

    private void foreign(int attempt) {
        if (rank == world - 1) {
            Duration little = Duration.ofSeconds(1);
            refused(() -> join(attempt - 1, world, rank, secret, little, little));
            refused(() -> join(attempt, world + 1, rank, secret, little, little));
            refused(() -> join(attempt, world, rank, PeerSecret.random(), little, little));
        }
        try (Communicator ranks = join(attempt, PATIENCE);
                Scope scope = Scope.open()) {
            requireSum(sum(ranks, scope, 64), 0, 64);
        }
    }

    private void refused(java.util.function.Supplier<Communicator> joining) {
        ExitCode found = code(() -> joining.get().close());
        require(found == ExitCode.CollectiveTimeout, "a foreign rank is not let in", found);
    }

    /** @return to be closed by the late rank when the others have met again, which they do after their time limit */
    private Communicator late(int attempt) {
        Communicator ranks = join(attempt, SHORT);
        if (rank == world - 1) {
            return ranks;
        }
        try (Scope scope = Scope.open()) {
            ExitCode first = code(() -> {
                sum(ranks, scope, 10);
                ranks.barrier();
            });
            // Of several that wait, one may hear that another has given up.
            require(
                    first == ExitCode.CollectiveTimeout || world > 2 && first == ExitCode.PeerLost,
                    "CollectiveTimeout of a late rank",
                    first);
            require(code(ranks::barrier) == first, "the same as before, " + first, "something else");
        }
        return ranks;
    }

    private void closing(int attempt, Communicator before) {
        try (Communicator ranks = join(attempt, PATIENCE);
                Scope scope = Scope.open()) {
            before.close();
            ranks.barrier();
            if (rank == 0) {
                // Nobody answers these; closing may not wait for an answer.
                Tensor tensor = scope.zeros(DType.FLOAT32, 1000);
                ranks.reduceScatterSum(Buffer.floats(tensor.address()));
                ranks.allGather(Buffer.floats(tensor.address()));
                ranks.close();
                Torch.start().synchronize();
            } else {
                sleep(Duration.ofSeconds(1));
            }
        }
    }

    private float[] sum(Communicator ranks, Scope scope, int size) {
        try (Scope local = scope.child()) {
            Tensor tensor = local.floats(values(rank, size));
            ranks.allReduceSum(Buffer.floats(tensor.address())).await();
            return tensor.floats();
        }
    }

    private static ExitCode code(Runnable work) {
        try {
            work.run();
            return ExitCode.Completed;
        } catch (TrainerException e) {
            return e.code();
        }
    }

    private static void sleep(Duration time) {
        try {
            Thread.sleep(time);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    private static float value(int rank, int i) {
        return (float) Math.sin(rank * 1.7 + i * 0.31) * (1 + rank);
    }

    private static float[] values(int rank, int size) {
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = value(rank, i);
        }
        return values;
    }

    private void requireSum(float[] found, int from, int to) {
        require(found.length == to - from, (to - from) + " elements", found.length);
        for (int i = from; i < to; i++) {
            double wanted = 0;
            for (int other = 0; other < world; other++) {
                wanted += value(other, i);
            }
            require(
                    Math.abs(found[i - from] - wanted) <= 1e-5 * (1 + Math.abs(wanted)),
                    wanted + " as element " + i + " of a sum of " + to,
                    found[i - from]);
        }
    }

    private void require(boolean holds, String wanted, Object found) {
        if (!holds) {
            throw new TrainerException(
                    ExitCode.InternalError, "rank " + rank + " expected " + wanted + ", but got " + found);
        }
    }
}
