package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.Generator;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Profile;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * {@code vlm-trainer bench-generate}: an answer with the cache of keys and values, against the same answer by reading image, prompt and
 * answer again for every token. Random weights; one image of 144 visual tokens (as many as the paper's) and 32 tokens of text.
 */
final class GenerateBench {
    private static final int PROMPT = 32;
    private static final double GOAL = 10;
    private static final int WARM_UP_TOKENS = 8;

    private GenerateBench() {}

    private static ModelConfig config() {
        return new ModelConfig(
                new LanguageConfig(256, 704, 6, 4, 2, 8192, 1e6, 1e-6, true, 4096),
                new VisionConfig(192, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(144));
    }

    private record Time(long wallNanos, long processorNanos) {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments =
                Arguments.parse(words, List.of("--threads", "--tokens", "--pairs", "--table", "--json"), List.of());
        arguments.requireNone();
        int tokens = arguments.number("--tokens", 2048).orElse(256);
        int pairs = arguments.number("--pairs", 99).orElse(3);
        int threads = arguments.number("--threads", 1024).orElse(1);
        Torch.start().threads(threads);
        double[] wall = new double[pairs];
        double[] processor = new double[pairs];
        double[] cachedSeconds = new double[pairs];
        double[] recomputedSeconds = new double[pairs];
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config(), Set.of());
            model.initialize(EnumSet.allOf(Part.class), 1);
            Generator generator = new Generator(model);
            int[] prompt = prompt();
            float[] pixels = pixels();
            cached(generator, prompt, pixels, WARM_UP_TOKENS);
            recomputed(generator, prompt, pixels, WARM_UP_TOKENS);
            if (arguments.one("--table").filter("yes"::equals).isPresent()) {
                out.print(table(() -> cached(generator, prompt, pixels, tokens)));
            }
            for (int pair = 0; pair < pairs; pair++) {
                int[][] answers = new int[2][];
                Time own = time(() -> answers[0] = cached(generator, prompt, pixels, tokens));
                Time peer = time(() -> answers[1] = recomputed(generator, prompt, pixels, tokens));
                if (!Arrays.equals(answers[0], answers[1])) {
                    throw new TrainerException(
                            ExitCode.InternalError, "the answers with and without the cache are not the same");
                }
                cachedSeconds[pair] = own.wallNanos() / 1e9;
                recomputedSeconds[pair] = peer.wallNanos() / 1e9;
                wall[pair] = (double) peer.wallNanos() / own.wallNanos();
                processor[pair] = (double) peer.processorNanos() / Math.max(1, own.processorNanos());
            }
        }
        String what = tokens + " new tokens, " + threads + " threads";
        BenchRow.publish(
                List.of(
                        BenchRow.beside(
                                what + ": tokens/s with the cache (peer: without)",
                                tokens / median(cachedSeconds),
                                "tokens/s",
                                tokens / median(recomputedSeconds)),
                        BenchRow.atLeast(
                                "the same, wall time without / with the cache, median of " + pairs + " pairs",
                                median(wall),
                                GOAL,
                                "recomputed"),
                        new BenchRow(
                                "the same, processor time without / with the cache",
                                Math.round(median(processor) * 100) / 100.0,
                                "ratio",
                                null,
                                null,
                                "recomputed")),
                Path.of(arguments.one("--json").orElse("target/bench/generate.json")),
                out);
        return ExitCode.Completed.code();
    }

    /** Time by operator of some work. */
    private static String table(Runnable work) {
        try (Profile profile = Profile.start()) {
            long start = System.nanoTime();
            work.run();
            profile.step("answer", start, System.nanoTime() - start);
            return profile.table();
        }
    }

    private static int[] cached(Generator generator, int[] prompt, float[] pixels, int tokens) {
        return generator.greedy(batch(prompt, pixels), tokens, Set.of()).getFirst();
    }

    /** One whole forward pass for each token; only its last position goes into the head. */
    private static int[] recomputed(Generator generator, int[] prompt, float[] pixels, int tokens) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + tokens);
        for (int t = prompt.length; t < ids.length; t++) {
            ids[t] = generator.greedy(batch(Arrays.copyOf(ids, t), pixels), 1, Set.of())
                    .getFirst()[0];
        }
        return Arrays.copyOfRange(ids, prompt.length, ids.length);
    }

    private static Batch batch(int[] ids, float[] pixels) {
        int[] labels = new int[ids.length];
        Arrays.fill(labels, Batch.IGNORE);
        int[] positions = new int[ids.length];
        Arrays.setAll(positions, t -> t);
        return new Batch(
                ids,
                labels,
                positions,
                new int[] {0, ids.length},
                pixels,
                1,
                config().vision().imageSize());
    }

    private static int[] prompt() {
        Random random = new Random(0);
        int visual = config().projector().tokensPerImage();
        int[] ids = new int[visual + PROMPT];
        Arrays.setAll(
                ids,
                t -> t < visual
                        ? Batch.IMAGE
                        : random.nextInt(config().language().vocabSize()));
        return ids;
    }

    private static float[] pixels() {
        Random random = new Random(1);
        int side = config().vision().imageSize();
        float[] pixels = new float[3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return pixels;
    }

    private static Time time(Runnable work) {
        long wall = System.nanoTime();
        long processor = processorNanos();
        work.run();
        return new Time(System.nanoTime() - wall, processorNanos() - processor);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static long processorNanos() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }
}
