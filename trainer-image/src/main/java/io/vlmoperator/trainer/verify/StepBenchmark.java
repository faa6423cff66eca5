package io.vlmoperator.trainer.verify;

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
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Random;

/**
 * Time of one training step on random data: forward, backward, clip, update. Prints wall and processor time of the median step. Options are
 * {@code name=number}; see the defaults below.
 */
public final class StepBenchmark {
    private final String[] arguments;

    private StepBenchmark(String[] arguments) {
        this.arguments = arguments;
    }

    private int option(String name, int otherwise) {
        return Arrays.stream(arguments)
                .filter(argument -> argument.startsWith(name + "="))
                .mapToInt(argument -> Integer.parseInt(argument.substring(name.length() + 1)))
                .findFirst()
                .orElse(otherwise);
    }

    public static void main(String[] arguments) {
        new StepBenchmark(arguments).run();
    }

    private void run() {
        Torch.start().threads(option("threads", 1));
        int hidden = option("hidden", 160);
        ModelConfig config = new ModelConfig(
                new LanguageConfig(
                        hidden,
                        option("inner", 448),
                        option("layers", 5),
                        option("heads", 5),
                        option("kvHeads", 5),
                        option("vocabulary", 2000),
                        1e6,
                        1e-6,
                        true,
                        4096),
                new VisionConfig(
                        option("image", 64),
                        option("patch", 16),
                        option("visionHidden", 128),
                        option("visionInner", 384),
                        option("visionLayers", 4),
                        option("visionHeads", 4),
                        1e-6,
                        -2,
                        VisionConfig.Activation.Tanh),
                new ProjectorConfig(option("tokensPerImage", 4)));
        Batch batch = batch(config, option("tokens", 1024), option("minText", 8), option("maxText", 20));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, EnumSet.allOf(Part.class));
            model.initialize(EnumSet.allOf(Part.class), 1);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.999, 1e-8, 0.01),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            int steps = option("steps", 40);
            long[] wall = new long[steps];
            long[] processor = new long[steps];
            float loss = 0;
            for (int step = -option("warmup", 10); step < steps; step++) {
                long begin = System.nanoTime();
                long beginProcessor = processorNanos();
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    loss = model.accumulate(batch, 1.0 / batch.targets(), local).item() / batch.targets();
                    optimizer.update(
                            1e-3, step + 1000, local.ops().norm(model.weights().gradients()), 1.0);
                }
                if (step >= 0) {
                    wall[step] = System.nanoTime() - begin;
                    processor[step] = processorNanos() - beginProcessor;
                }
            }
            System.out.printf(
                    "%d parameters, %d tokens, %d segments, %d images, %d targets, loss %.4f%n",
                    model.weights().values().count(),
                    batch.tokens(),
                    batch.segments(),
                    batch.imageCount(),
                    batch.targets(),
                    loss);
            print("wall", wall, batch.tokens());
            print("processor", processor, batch.tokens());
        }
    }

    private static void print(String what, long[] nanos, int tokens) {
        Arrays.sort(nanos);
        double median = nanos[nanos.length / 2] / 1e6;
        System.out.printf(
                "%s: median %.1f ms, fastest %.1f ms, %.0f tokens/s at the median%n",
                what, median, nanos[0] / 1e6, tokens * 1e3 / median);
    }

    private static long processorNanos() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }

    private static Batch batch(ModelConfig config, int tokens, int minText, int maxText) {
        Random random = new Random(1);
        int[] ids = new int[tokens];
        int[] positions = new int[tokens];
        int[] starts = new int[tokens];
        int images = 0;
        int visual = config.projector().tokensPerImage();
        int t = 0;
        while (t + visual + minText <= tokens) {
            starts[images++] = t;
            int length = Math.min(visual + minText + random.nextInt(maxText - minText + 1), tokens - t);
            for (int i = 0; i < length; i++, t++) {
                ids[t] = i < visual
                        ? Batch.IMAGE
                        : random.nextInt(config.language().vocabSize());
                positions[t] = i;
            }
        }
        starts[images] = t;
        int[] labels = Arrays.stream(ids)
                .map(id -> id == Batch.IMAGE ? Batch.IGNORE : id)
                .toArray();
        int side = config.vision().imageSize();
        float[] pixels = new float[images * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(
                Arrays.copyOf(ids, t),
                Arrays.copyOf(labels, t),
                Arrays.copyOf(positions, t),
                Arrays.copyOf(starts, images + 1),
                pixels,
                images,
                side);
    }
}
