package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** {@code vlm-trainer bench-step}: the emoji demo's training step on made-up samples; its twin is {@code src/bench/peers/train_step.py}. */
final class StepBench {
    private static final int WARM_UP = 4;
    private static final int MOST = 10_000;

    private StepBench() {}

    /** The demo's sizes (examples/emoji/20-pretrain.yaml). */
    private static ModelConfig config() {
        return new ModelConfig(
                new LanguageConfig(128, 352, 4, 4, 2, 2000, 1e4, 1e-6, true, 4096),
                new VisionConfig(64, 16, 128, 512, 5, 4, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
    }

    private record Figures(double tokensPerSecond, double tokensPerCpuSecond, long tokens, long parameters) {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments = Arguments.parse(words, List.of("--threads", "--steps", "--lengths"), List.of());
        arguments.requireNone();
        int steps = arguments.number("--steps", MOST).orElse(20);
        int[] lengths = lengths(arguments.one("--lengths").orElse("3,4,5,6,7,8,9"));
        Torch.start().threads(arguments.number("--threads", MOST).orElse(1));
        Set<Part> all = EnumSet.allOf(Part.class);
        long[] wall = new long[steps];
        long[] cpu = new long[steps];
        Random random = new Random(0);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config(), all);
            model.initialize(all, 1);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.05),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            long tokens = 0;
            for (int step = -WARM_UP; step < steps; step++) {
                List<Batch> data = List.of(batch(lengths, random), batch(lengths, random));
                int targets = data.stream().mapToInt(Batch::targets).sum();
                tokens = data.stream().mapToLong(Batch::tokens).sum();
                long start = System.nanoTime();
                long startCpu = processorNanos();
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    for (Batch micro : data) {
                        float loss =
                                model.accumulate(micro, 1.0 / targets, local).item();
                        if (!Float.isFinite(loss)) {
                            throw new TrainerException(ExitCode.NonFinite, "the benchmark's loss is " + loss);
                        }
                    }
                    optimizer.update(
                            1e-4,
                            step + WARM_UP + 1,
                            local.ops().norm(model.weights().gradients()),
                            1.0);
                }
                if (step >= 0) {
                    wall[step] = System.nanoTime() - start;
                    cpu[step] = processorNanos() - startCpu;
                }
            }
            out.println(Json.text(new Figures(
                    tokens * 1e9 / median(wall),
                    tokens * 1e9 / median(cpu),
                    tokens,
                    model.weights().values().count())));
        }
        return ExitCode.Completed.code();
    }

    private static int[] lengths(String text) {
        if (!text.matches("[1-9]\\d{0,3}(,[1-9]\\d{0,3}){0,9999}")) {
            throw TrainerException.configuration("--lengths is a list such as 3,4,5");
        }
        return Arrays.stream(text.split(",", -1)).mapToInt(Integer::parseInt).toArray();
    }

    private static double median(long[] nanos) {
        long[] sorted = nanos.clone();
        Arrays.sort(sorted);
        return Math.max(1, sorted[sorted.length / 2]);
    }

    private static long processorNanos() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }

    /** Each sample: a begin token, an image, a text. Every text token is a target. */
    private static Batch batch(int[] lengths, Random random) {
        ModelConfig config = config();
        int visual = config.projector().tokensPerImage();
        int side = config.vision().imageSize();
        int total = Arrays.stream(lengths).map(n -> 1 + visual + n).sum();
        int[] ids = new int[total];
        int[] labels = new int[total];
        int[] positions = new int[total];
        int[] starts = new int[lengths.length + 1];
        int t = 0;
        for (int s = 0; s < lengths.length; s++) {
            starts[s] = t;
            for (int i = 0; i < 1 + visual + lengths[s]; i++, t++) {
                boolean image = i >= 1 && i <= visual;
                ids[t] = image ? Batch.IMAGE : random.nextInt(config.language().vocabSize());
                labels[t] = i > visual ? ids[t] : Batch.IGNORE;
                positions[t] = i;
            }
        }
        starts[lengths.length] = t;
        float[] pixels = new float[lengths.length * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(ids, labels, positions, starts, pixels, lengths.length, side);
    }
}
