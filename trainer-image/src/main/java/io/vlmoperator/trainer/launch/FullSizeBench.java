package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Recompute;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.Flops;
import io.vlmoperator.trainer.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * {@code vlm-trainer bench-full-size}: one forward and backward of the paper's model at its true sizes, in BFLOAT16 with random weights, over
 * one packed row of 1,024 tokens with three images. Decoder and projector get gradients, as in pre-training; weights are those of a worker
 * whose master weights and moments lie elsewhere.
 */
final class FullSizeBench {
    private static final int TOKENS = 1024;
    private static final int IMAGES = 3;
    private static final double MOST_GIB = 14;
    private static final double LOSS_WITHIN = 0.5;
    private static final int PEAK_SIDE = 2048;

    private FullSizeBench() {}

    /** Qwen2.5-1.5B, SigLIP-SO400M at 384 pixels, 144 visual tokens an image. */
    private static ModelConfig config() {
        return new ModelConfig(
                new LanguageConfig(1536, 8960, 28, 12, 2, 151_936, 1e6, 1e-6, true, 32_768),
                new VisionConfig(384, 14, 1152, 4304, 27, 16, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(144));
    }

    static int run(List<String> words, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(words, List.of("--threads", "--recompute", "--json"), List.of());
        arguments.requireNone();
        Torch.start().threads(arguments.number("--threads", 1024).orElse(2));
        Recompute recompute = StepBench.choice(arguments, "--recompute", Recompute.class, Recompute.Selective);
        ModelConfig config = config();
        Set<Part> trained = EnumSet.of(Part.PROJECTOR, Part.LANGUAGE);
        double peak = Flops.measuredPeak(DType.BFLOAT16, PEAK_SIDE);
        double seconds;
        double loss;
        double operations;
        long weights;
        Batch batch = batch(config);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.forTiming(scope, config, trained);
            weights = model.weights().values().count();
            operations = new Flops(config, model.weights().parameters(), trained).of(batch);
            long start = System.nanoTime();
            loss = model.accumulate(batch, 1.0 / batch.targets(), Trainer.keep(recompute), scope)
                            .item()
                    / batch.targets();
            seconds = (System.nanoTime() - start) / 1e9;
            float norm = scope.ops().norm(model.weights().gradients()).item();
            if (!Float.isFinite(norm) || norm == 0) {
                throw new TrainerException(ExitCode.NonFinite, "the norm of the gradients is " + norm);
            }
        }
        double expected = Math.log(config.language().vocabSize());
        String what = "full size, bf16, recompute " + recompute + ", one row of 1,024 tokens with 3 images: ";
        List<BenchRow> rows = List.of(
                BenchRow.plain(what + "trained weights", weights, "weights"),
                BenchRow.plain(what + "forward and backward", seconds, "s"),
                BenchRow.plain(what + "tokens per second", TOKENS / seconds, "tokens/s"),
                BenchRow.plain(what + "operations", operations / 1e12, "TFLOP"),
                BenchRow.plain(what + "bf16 product of side " + PEAK_SIDE + " in this process", peak / 1e9, "GFLOP/s"),
                BenchRow.plain(what + "share of that product's speed", operations / seconds / peak, "ratio"),
                BenchRow.atMost(what + "peak resident set", StepBench.peakRss() / 1024.0 / 1024.0, "GiB", MOST_GIB),
                BenchRow.plain(what + "loss", loss, "nats"),
                BenchRow.atMost(
                        what + "distance of the loss from ln(151,936)",
                        Math.abs(loss - expected),
                        "nats",
                        LOSS_WITHIN));
        BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/full-size.json")), out);
        return rows.stream().anyMatch(row -> Boolean.FALSE.equals(row.met()))
                ? ExitCode.InternalError.code()
                : ExitCode.Completed.code();
    }

    /** Four samples end to end: three of an image and a text, one of text only. */
    private static Batch batch(ModelConfig config) {
        Random random = new Random(0);
        int visual = config.projector().tokensPerImage();
        int length = TOKENS / (IMAGES + 1);
        int[] ids = random.ints(TOKENS, 0, config.language().vocabSize()).toArray();
        for (int image = 0; image < IMAGES; image++) {
            Arrays.fill(ids, image * length + 1, image * length + 1 + visual, Batch.IMAGE);
        }
        int side = config.vision().imageSize();
        float[] pixels = new float[IMAGES * 3 * side * side];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = random.nextFloat() * 2 - 1;
        }
        return new Batch(
                ids,
                Arrays.stream(ids)
                        .map(id -> id == Batch.IMAGE ? Batch.IGNORE : id)
                        .toArray(),
                IntStream.range(0, TOKENS).map(t -> t % length).toArray(),
                IntStream.rangeClosed(0, IMAGES + 1).map(s -> s * length).toArray(),
                pixels,
                IMAGES,
                side);
    }
}
