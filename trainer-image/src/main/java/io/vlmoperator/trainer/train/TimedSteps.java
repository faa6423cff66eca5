package io.vlmoperator.trainer.train;

import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Random;
import java.util.Set;

/** Training steps of one worker on made-up rows, for measuring: the trainer's own step with nothing around it. */
public final class TimedSteps {
    private static final int HIDDEN = 256;
    private static final int LAYERS = 6;
    private static final int VOCABULARY = 8192;
    private static final int ROW_TOKENS = 256;
    private static final int ROWS = 4;

    private TimedSteps() {}

    /**
     * What a worker measured.
     *
     * @param tokens of all workers in the measured steps
     * @param weights that are trained
     * @param cpuSeconds of this worker's processor in all threads
     * @param waitedSeconds the training thread waited for gradients or weights of others: communication that was not overlapped
     * @param busySeconds a sum or a copy was under way, overlapped or not
     * @param sentBytes by this worker
     */
    public record Timing(
            Integer rank,
            Integer world,
            Long steps,
            Long tokens,
            Long weights,
            Double seconds,
            Double cpuSeconds,
            Double waitedSeconds,
            Double busySeconds,
            Long sentBytes) {}

    /** What is trained: a decoder of 6 layers of width 256 with a vocabulary of 8,192, in FLOAT32. */
    public static String description() {
        return "decoder of %d layers, width %d, vocabulary %d; %d rows of %d tokens a worker and step, FLOAT32"
                .formatted(LAYERS, HIDDEN, VOCABULARY, ROWS, ROW_TOKENS);
    }

    private static ModelConfig config() {
        return new ModelConfig(
                new LanguageConfig(HIDDEN, 4 * HIDDEN, LAYERS, 4, 2, VOCABULARY, 1e6, 1e-6, true, 4096),
                new VisionConfig(28, 14, 16, 32, 1, 2, 1e-6, -1, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
    }

    /** Trains; all workers call it alike, each has {@value #ROWS} rows of a step. */
    public static Timing run(Communicator communicator, int warmUp, int steps) {
        int global = ROWS * communicator.world();
        Set<Part> trained = EnumSet.of(Part.LANGUAGE);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config(), trained);
            model.initialize(EnumSet.allOf(Part.class), 1);
            Loader.Share share = Loader.Share.of(global, ROWS, communicator.rank(), communicator.world());
            Flops flops = new Flops(model.config(), model.weights().parameters(), model.trained());
            try (ShardedOptimizer optimizer = new ShardedOptimizer(
                            model.weights(),
                            model.stages(),
                            Buckets.SMALL,
                            communicator,
                            new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.01),
                            new RunFacts(),
                            scope);
                    Loader loader = new Loader(new Text(global), share, 0, warmUp + steps)) {
                Guard guard = new Guard(Failure.DEFAULT, Optional.empty());
                Step step = new Step(
                        model, optimizer, communicator, true, 1.0, Tape.Keep.ALL, new StopSignal(), new RunFacts());
                for (int number = 0; number < warmUp; number++) {
                    step.run(loader, share.count(), flops, number, 1e-4, false, guard);
                }
                communicator.barrier();
                optimizer.takeWaited();
                Communicator.Traffic before = communicator.traffic();
                long began = System.nanoTime();
                long cpu = cpuNanos();
                for (int number = warmUp; number < warmUp + steps; number++) {
                    step.run(loader, share.count(), flops, number, 1e-4, false, guard);
                }
                double seconds = (System.nanoTime() - began) / 1e9;
                double cpuSeconds = (cpuNanos() - cpu) / 1e9;
                Communicator.Traffic after = communicator.traffic();
                double waited = optimizer.takeWaited() / 1e9;
                optimizer.settle();
                communicator.barrier();
                return new Timing(
                        communicator.rank(),
                        communicator.world(),
                        (long) steps,
                        (long) steps * global * ROW_TOKENS,
                        model.weights().trainedCount(),
                        seconds,
                        cpuSeconds,
                        waited,
                        (after.nanos() - before.nanos()) / 1e9,
                        after.bytes() - before.bytes());
            }
        }
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean)
                        java.lang.management.ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    /** Rows of random tokens. */
    private record Text(int global) implements RowSource {
        @Override
        public long rows() {
            return global;
        }

        @Override
        public long tokens() {
            return (long) global * ROW_TOKENS;
        }

        @Override
        public Batch rows(long step, int from, int to) {
            Random random = new Random(step * global + from);
            int[] ids =
                    random.ints((long) (to - from) * ROW_TOKENS, 0, VOCABULARY).toArray();
            int[] positions = new int[ids.length];
            Arrays.setAll(positions, at -> at % ROW_TOKENS);
            int[] starts = new int[to - from + 1];
            Arrays.setAll(starts, row -> row * ROW_TOKENS);
            return new Batch(ids, ids.clone(), positions, starts, new float[0], 0, 0);
        }

        @Override
        public void close() {}
    }
}
