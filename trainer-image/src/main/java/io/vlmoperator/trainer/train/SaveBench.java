package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.metric.Progress;
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
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Measures what saving costs the training of a small decoder: each round a plain copy, steps without a save, and steps with one. */
public final class SaveBench {
    private static final int TOKENS = 512;
    private static final int IMAGE_TOKENS = 4;
    private static final int SIDE = 64;
    private static final Duration LIMIT = Duration.ofMinutes(10);

    private static final ModelConfig MODEL = new ModelConfig(
            new LanguageConfig(512, 1408, 6, 8, 4, 8192, 1e6, 1e-6, true, 4096),
            new VisionConfig(SIDE, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
            new ProjectorConfig(IMAGE_TOKENS));

    /** As small as it gets, to see that it works. */
    private static final ModelConfig TINY = new ModelConfig(
            new LanguageConfig(64, 128, 2, 4, 2, 8192, 1e6, 1e-6, true, 4096),
            new VisionConfig(SIDE, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
            new ProjectorConfig(IMAGE_TOKENS));

    private SaveBench() {}

    /**
     * Medians over the rounds.
     *
     * @param bytes that a save copies
     * @param stallMillis that training stands still for a save: the copy, and the edges until the checkpoint is complete
     * @param copyMillis of a plain copy of as many bytes, in memory touched before (from a GPU: page-locked): one before and one after the save
     * @param unlockedMillis of a plain copy from a GPU into memory that is not page-locked; on the processor that of any plain copy
     * @param stallOverCopy of the same round
     * @param stepMillis of a step while nothing is saved
     * @param savingStepMillis of a step while something is
     * @param waitedMillis that training would stand still if it waited for the checkpoint
     */
    public record Figures(
            long bytes,
            double stallMillis,
            double copyMillis,
            double unlockedMillis,
            double stallOverCopy,
            double stepMillis,
            double savingStepMillis,
            double waitedMillis) {}

    /**
     * Trains and saves.
     *
     * @param folder for the run, which no run has used before
     * @param rounds at least 1
     */
    public static Figures measure(Path folder, int rounds, Consumer<String> log) throws IOException {
        return measure(folder, rounds, MODEL, log);
    }

    /** The same with a model of next to nothing. */
    public static Figures measureTiny(Path folder, int rounds, Consumer<String> log) throws IOException {
        return measure(folder, rounds, TINY, log);
    }

    private static Figures measure(Path folder, int rounds, ModelConfig config, Consumer<String> log)
            throws IOException {
        FrozenJob job = job(folder);
        RunFolder run = RunFolder.at(folder);
        Set<Part> parts = EnumSet.of(Part.PROJECTOR, Part.LANGUAGE);
        try (Scope scope = Scope.open();
                Arena arena = Arena.ofConfined();
                Watchdog watchdog = new Watchdog(LIMIT, log)) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, parts);
            model.initialize(EnumSet.allOf(Part.class), 1);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.05),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            Trainer.Context context = new Trainer.Context(
                    job,
                    Locations.of(Map.of()),
                    new Single(),
                    (j, m, t) -> {
                        throw new IllegalStateException("no data is read");
                    },
                    Progress.NONE,
                    new StopSignal(),
                    watchdog,
                    new RunFacts(),
                    line -> {},
                    Faults.NONE,
                    0);
            List<StateShard> state = StateShard.share(
                    model.weights().values().address(),
                    optimizer.firstMoment().address(),
                    optimizer.secondMoment().address(),
                    0,
                    1);
            RunFolder.Fence fence =
                    run.acquire(job.attempt(), job.uid(), Instant.now().toString());
            try (Saver saver =
                    new Saver(context, run, Optional.of(fence), model, state, new byte[] {'{', '}'}, LIMIT, scope)) {
                try (Targets targets = new Targets(state, arena)) {
                    return new Rounds(model, optimizer, saver, targets).run(rounds, log);
                }
            }
        }
    }

    /** Where plain copies go; page-locked as the saver's own, if the state lies on a GPU. */
    private static final class Targets implements AutoCloseable {
        private final List<MemorySegment> sources;
        private final List<MemorySegment> plain;
        private final List<MemorySegment> locked = new ArrayList<>();

        private Targets(List<StateShard> state, Arena arena) {
            sources = state.stream()
                    .flatMap(s -> List.of(s.weights(), s.first(), s.second()).stream())
                    .toList();
            plain = sources.stream()
                    .map(source -> arena.allocate(source.byteSize(), 64))
                    .toList();
        }

        /** Milliseconds. */
        private double copy() {
            long start = System.nanoTime();
            for (int i = 0; i < sources.size(); i++) {
                Torch.start().copyMemory(sources.get(i), plain.get(i));
            }
            return millis(start);
        }

        private void lock() {
            plain.stream().filter(Torch.start()::pageLock).forEach(locked::add);
        }

        private long bytes() {
            return sources.stream().mapToLong(MemorySegment::byteSize).sum();
        }

        @Override
        public void close() {
            locked.forEach(Torch.start()::pageUnlock);
        }
    }

    /** The rounds and what they need. */
    private static final class Rounds {
        private final VisionLanguageModel model;
        private final FusedAdamW optimizer;
        private final Saver saver;
        private final Targets targets;
        private final Batch batch = batch();
        private long step;

        private Rounds(VisionLanguageModel model, FusedAdamW optimizer, Saver saver, Targets targets) {
            this.model = model;
            this.optimizer = optimizer;
            this.saver = saver;
            this.targets = targets;
        }

        private Figures run(int rounds, Consumer<String> log) {
            double[] stall = new double[rounds];
            double[] copy = new double[rounds];
            double[] ratio = new double[rounds];
            double[] plain = new double[rounds];
            double[] saving = new double[rounds];
            double[] waited = new double[rounds];
            step();
            targets.copy();
            double unlocked = targets.copy();
            targets.lock();
            saver.save(step, 0, 1, Optional.empty());
            saver.finish();
            for (int round = 0; round < rounds; round++) {
                plain[round] = (step() + step()) / 2;
                copy[round] = targets.copy();
                long start = System.nanoTime();
                saver.save(step, 0, 1, Optional.empty());
                stall[round] = millis(start);
                int steps = 0;
                boolean complete = false;
                while (!complete) {
                    saving[round] += step();
                    steps++;
                    start = System.nanoTime();
                    complete = saver.edge();
                    stall[round] += millis(start);
                }
                saving[round] /= steps;
                copy[round] = (copy[round] + targets.copy()) / 2;
                ratio[round] = stall[round] / copy[round];
                step();
                start = System.nanoTime();
                saver.save(step, 0, 1, Optional.empty());
                saver.finish();
                waited[round] = millis(start);
                log.accept(
                        "round %d: stall %.1f ms, plain copy %.1f ms, step %.0f ms, step while saving %.0f ms (%d), waited %.0f ms"
                                .formatted(
                                        round + 1,
                                        stall[round],
                                        copy[round],
                                        plain[round],
                                        saving[round],
                                        steps,
                                        waited[round]));
            }
            return new Figures(
                    targets.bytes(),
                    median(stall),
                    median(copy),
                    unlocked,
                    median(ratio),
                    median(plain),
                    median(saving),
                    median(waited));
        }

        private double step() {
            long start = System.nanoTime();
            step++;
            try (Scope local = Scope.open()) {
                local.ops().zero(model.weights().gradients());
                model.accumulate(batch, 1.0 / batch.targets(), Tape.Keep.ALL, local)
                        .item();
                optimizer.update(1e-4, step, local.ops().norm(model.weights().gradients()), 1.0);
                model.weights().updated();
            }
            Torch.start().synchronize();
            return millis(start);
        }
    }

    private static double millis(long start) {
        return (System.nanoTime() - start) / 1e6;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    /** One row: an image, then text, all of it targets. */
    private static Batch batch() {
        Random random = new Random(1);
        int[] ids = random.ints(TOKENS, 0, MODEL.language().vocabSize()).toArray();
        Arrays.fill(ids, 0, IMAGE_TOKENS, Batch.IMAGE);
        float[] pixels = new float[3 * SIDE * SIDE];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(
                ids,
                Arrays.stream(ids)
                        .map(id -> id == Batch.IMAGE ? Batch.IGNORE : id)
                        .toArray(),
                IntStream.range(0, TOKENS).toArray(),
                new int[] {0, TOKENS},
                pixels,
                1,
                SIDE);
    }

    private static FrozenJob job(Path folder) throws IOException {
        String spec = """
                {"model":{"language":{"tokenizer":"file:///none","config":{"hiddenSize":512,"intermediateSize":1408,
                "numHiddenLayers":6,"numAttentionHeads":8,"numKeyValueHeads":4,"vocabSize":8192}},"vision":{},
                "train":["Projector","Language"]},"data":[{"dataset":"none"}],"schedule":{"stopAfter":{"steps":1}},
                "output":{"location":"file://FOLDER"},"checkpoints":{"keep":{"last":1}}}""".replace("FOLDER", folder.toAbsolutePath().toString());
        return new FrozenJob(
                1,
                Kind.PretrainJob,
                "local",
                "bench",
                "bench",
                1,
                1,
                1,
                null,
                Json.read(spec.getBytes(StandardCharsets.UTF_8), PretrainJobSpec.class),
                null,
                null,
                List.of(),
                null);
    }
}
