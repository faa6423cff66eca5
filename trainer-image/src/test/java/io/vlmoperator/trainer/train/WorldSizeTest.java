package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.MessagesOnly;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The same steps whatever the number of workers and micro-batches; one bucket a layer, so that everything is in use. */
@Timeout(300)
class WorldSizeTest {
    private static final int STEPS = 20;
    private static final FusedAdamW.Settings SETTINGS = new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.1);
    private static final Set<Part> ALL = EnumSet.allOf(Part.class);

    @BeforeAll
    static void oneThread() {
        Torch.start().threads(1);
    }

    /**
     * @param global rows of a step
     * @param micro rows of a micro-batch
     */
    private record Setting(
            int world, int global, int micro, boolean byTokens, boolean tied, Set<Part> trained, DType compute) {}

    /** What all ranks together have of a run. */
    private record Outcome(float[] gradient, List<Step.Result> results, float[] weights) {}

    @ParameterizedTest
    @CsvSource({
        // 1 x 8, 2 x 4 and 8 x 1 (workers x micro-batches).
        "1, 8, 1, true, true",
        "2, 8, 1, true, true",
        "4, 8, 2, true, false",
        "8, 8, 1, true, true",
        // Uneven shares, and ranks without a row.
        "3, 8, 2, true, false",
        "5, 3, 1, true, true",
        "4, 8, 2, false, true",
    })
    void equalsOneWorker(int world, int global, int micro, boolean byTokens, boolean tied) throws Exception {
        // Means of micro-batches depend on how rows are divided into these; sums over tokens do not.
        Outcome one = run(new Setting(1, global, byTokens ? global : micro, byTokens, tied, ALL, DType.FLOAT32));
        Outcome many = run(new Setting(world, global, micro, byTokens, tied, ALL, DType.FLOAT32));
        assertThat(many.gradient()).hasSameSizeAs(one.gradient());
        assertThat(difference(many.gradient(), one.gradient()))
                .as("gradient of step 1")
                .isLessThan(1e-6);
        assertSame(many, one, 1e-5);
        assertThat(one.results().getLast().loss())
                .as("it learns")
                .isLessThan(0.7 * one.results().getFirst().loss());
    }

    @Test
    void partsOfTheModel() throws Exception {
        for (Set<Part> trained : List.of(EnumSet.of(Part.PROJECTOR), EnumSet.of(Part.PROJECTOR, Part.LANGUAGE))) {
            Outcome one = run(new Setting(1, 8, 8, true, true, trained, DType.FLOAT32));
            Outcome many = run(new Setting(2, 8, 2, true, true, trained, DType.FLOAT32));
            assertThat(difference(many.gradient(), one.gradient())).isLessThan(1e-6);
            assertSame(many, one, 1e-5);
        }
    }

    /** Rounded weights: every rank rounds its own master weights and the others get the rounded ones. */
    @Test
    void bfloat16() throws Exception {
        Outcome one = run(new Setting(1, 8, 4, true, true, ALL, DType.BFLOAT16));
        Outcome many = run(new Setting(2, 8, 4, true, true, ALL, DType.BFLOAT16));
        assertThat(difference(many.gradient(), one.gradient())).isLessThan(1e-6);
        // Sums in another order move a weight over an edge between two roundings here and there; one rounding is 2^-8.
        assertSame(many, one, 5e-3);
    }

    /** A worker has one share of what is divided, all shares together are everything, and the budget says so. */
    @ParameterizedTest
    @CsvSource({"FLOAT32, 1", "FLOAT32, 4", "BFLOAT16, 1", "BFLOAT16, 4"})
    void bytes(DType compute, int world, @TempDir Path folder) throws IOException {
        boolean rounded = compute == DType.BFLOAT16;
        long masters = 0;
        long moments = 0;
        long count = 0;
        for (int rank = 0; rank < world; rank++) {
            try (Scope scope = Scope.open()) {
                VisionLanguageModel model = VisionLanguageModel.create(scope, config(true), ALL);
                count = model.weights().trainedCount();
                model.computeIn(compute);
                ShardedOptimizer optimizer = optimizer(model, new Absent(rank, world), scope);
                long replica = model.weights().replica().count() * (rounded ? 2 : 4);
                long gradients = model.weights().gradients().count() * 4;
                long own = 0;
                for (StateShard shard : optimizer.state()) {
                    masters += shard.weights().byteSize();
                    moments += shard.first().byteSize() + shard.second().byteSize();
                    own += shard.first().byteSize()
                            + shard.second().byteSize()
                            + (rounded ? shard.weights().byteSize() : 0);
                }
                double planned = Budget.of(model.config(), ALL, rounded, folder, world, 1).rows().stream()
                        .filter(row -> row.what().matches(".*(trained weights x|gradients|moments|BFLOAT16).*"))
                        .mapToLong(Budget.Row::bytes)
                        .sum();
                assertThat((double) replica + gradients + own)
                        .as("rank " + rank)
                        .isCloseTo(planned, within(0.01 * planned));
                if (rounded && world > 1) {
                    assertThatThrownBy(() -> model.weights().values()).hasMessageContaining("shards");
                }
            }
        }
        assertThat(masters).isEqualTo(4 * count);
        assertThat(moments).isEqualTo(8 * count);
    }

    /** The master weights of the other workers are given back to the system, not only forgotten. */
    @Test
    void memoryIsGivenBack() throws IOException {
        LanguageConfig wide = new LanguageConfig(256, 256, 1, 2, 1, 65_536, 1e4, 1e-6, true, 4096);
        ModelConfig large = new ModelConfig(wide, config(true).vision(), new ProjectorConfig(1));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, large, EnumSet.of(Part.LANGUAGE));
            model.computeIn(DType.BFLOAT16);
            MemorySegment whole = model.weights().values().address();
            long address = whole.address();
            long bytes = whole.byteSize();
            assertThat(bytes).as("so much that the allocator maps it by itself").isGreaterThan(60L << 20);
            assertThat(mapped(address, bytes)).isEqualTo(bytes);
            optimizer(model, new Absent(0, 8), scope);
            assertThat(mapped(address, bytes)).as("some of it is in use again").isLessThan(bytes / 2);
        }
    }

    private static long mapped(long address, long bytes) throws IOException {
        long sum = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            String[] range = line.substring(0, line.indexOf(' ')).split("-");
            long from = Long.parseUnsignedLong(range[0], 16);
            long to = Long.parseUnsignedLong(range[1], 16);
            sum += Math.max(0, Math.min(to, address + bytes) - Math.max(from, address));
        }
        return sum;
    }

    private static void assertSame(Outcome many, Outcome one, double tolerance) {
        assertThat(many.results()).hasSameSizeAs(one.results());
        for (int i = 0; i < one.results().size(); i++) {
            Step.Result expected = one.results().get(i);
            Step.Result found = many.results().get(i);
            assertThat(found.loss()).as("loss of step %d", i + 1).isCloseTo(expected.loss(), within(tolerance));
            assertThat(found.norm())
                    .as("gradient norm of step %d", i + 1)
                    .isCloseTo(expected.norm(), within(10 * tolerance * (1 + expected.norm())));
            assertThat(found.totals().targets()).isEqualTo(expected.totals().targets());
            assertThat(found.totals().tokens()).isEqualTo(expected.totals().tokens());
        }
    }

    private static double difference(float[] a, float[] b) {
        double largest = 0;
        for (int i = 0; i < b.length; i++) {
            largest = Math.max(largest, Math.abs(a[i] - b[i]));
        }
        return largest;
    }

    private static ModelConfig config(boolean tied) {
        return new ModelConfig(
                new LanguageConfig(16, 32, 3, 2, 1, 211, 1e4, 1e-6, tied, 4096),
                new VisionConfig(TinyRun.IMAGE_SIZE, 4, 16, 32, 2, 2, 1e-6, -1, VisionConfig.Activation.values()[0]),
                new ProjectorConfig(1));
    }

    private static ShardedOptimizer optimizer(VisionLanguageModel model, Communicator communicator, Scope scope) {
        return new ShardedOptimizer(model.weights(), model.stages(), 0, communicator, SETTINGS, new RunFacts(), scope);
    }

    private static Outcome run(Setting setting) throws Exception {
        List<Outcome> ranks = new ArrayList<>();
        if (setting.world() == 1) {
            ranks.add(rank(setting, new Single()));
        } else {
            PeerSecret secret = PeerSecret.random();
            int port = freePorts();
            try (var threads = Executors.newThreadPerTaskExecutor(
                    Thread.ofPlatform().daemon().factory())) {
                List<Future<Outcome>> futures = new ArrayList<>();
                for (int r = 0; r < setting.world(); r++) {
                    Membership member = new Membership(
                            "uid",
                            1,
                            r,
                            setting.world(),
                            secret,
                            "127.0.0.1",
                            port,
                            Duration.ofSeconds(60),
                            Duration.ofSeconds(60));
                    Callable<Outcome> task = () -> {
                        try (Communicator ring = TcpRing.connect(member, Optional.of("127.0.0.1"), Optional.empty())) {
                            return rank(setting, ring);
                        }
                    };
                    futures.add(threads.submit(task));
                }
                for (Future<Outcome> future : futures) {
                    try {
                        ranks.add(future.get(200, TimeUnit.SECONDS));
                    } catch (ExecutionException e) {
                        throw e.getCause() instanceof Exception cause ? cause : e;
                    }
                }
            }
        }
        float[] gradient = ranks.getFirst().gradient();
        for (Outcome other : ranks.subList(1, ranks.size())) {
            assertThat(other.results().stream().map(Step.Result::loss).toList())
                    .as("the same bits on every rank")
                    .isEqualTo(ranks.getFirst().results().stream()
                            .map(Step.Result::loss)
                            .toList());
            assertThat(other.weights()).isEqualTo(ranks.getFirst().weights());
            for (int i = 0; i < gradient.length; i++) {
                gradient[i] += other.gradient()[i];
            }
        }
        return ranks.getFirst();
    }

    /** One rank's run; its gradient holds what it owns and zeros else. */
    private static Outcome rank(Setting setting, Communicator communicator) {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config(setting.tied()), setting.trained());
            model.initialize(ALL, 3);
            model.computeIn(setting.compute());
            Loader.Share share =
                    Loader.Share.of(setting.global(), setting.micro(), communicator.rank(), communicator.world());
            TinyRun.MadeUp rows = new TinyRun.MadeUp(1, setting.global(), 0, TinyRun.Poison.NONE);
            Flops flops = new Flops(model.config(), model.weights().parameters(), model.trained());
            List<Step.Result> results = new ArrayList<>();
            try (ShardedOptimizer optimizer = optimizer(model, communicator, scope);
                    Loader loader = new Loader(rows, share, 0, STEPS)) {
                Guard guard = new Guard(Failure.DEFAULT, Optional.empty());
                Step step = new Step(
                        model,
                        optimizer,
                        communicator,
                        setting.byTokens(),
                        1.0,
                        Tape.Keep.ALL,
                        new StopSignal(),
                        new RunFacts());
                float[] gradient = new float[(int) model.weights().trainedCount()];
                for (int number = 0; number < STEPS; number++) {
                    results.add(step.run(loader, share.count(), flops, number, 0.01, false, guard));
                    if (number == 0) {
                        // Divided by the number of targets and clipped, as it went into the update.
                        float[] all = model.weights().gradients().floats();
                        for (StateShard shard : optimizer.state()) {
                            System.arraycopy(
                                    all, (int) shard.from(), gradient, (int) shard.from(), (int) shard.count());
                        }
                    }
                }
                optimizer.settle();
                return new Outcome(gradient, results, model.weights().values().floats());
            }
        }
    }

    private static int freePorts() {
        for (int candidate = 21_000 + (int) (System.nanoTime() % 600) * 16; candidate < 32_000; candidate += 16) {
            boolean free = true;
            for (int p = candidate; p < candidate + 8 && free; p++) {
                try (ServerSocket socket = new ServerSocket()) {
                    socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), p));
                } catch (IOException e) {
                    free = false;
                }
            }
            if (free) {
                return candidate;
            }
        }
        throw new IllegalStateException("no free ports");
    }

    /** A rank whose peers are not there: for what a rank has before it meets them. */
    private record Absent(int rank, int world) implements MessagesOnly {}
}
