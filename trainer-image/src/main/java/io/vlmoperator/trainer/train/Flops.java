package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Counts the floating point operations of a step, and measures what this machine can do, for MFU. */
public final class Flops {
    private static final int PEAK_SIDE = 768;
    /** Long enough that other work on the machine does not hit every try. */
    private static final long PEAK_NANOS = 500_000_000L;

    private static final int PEAK_TRIES = 200;

    private final double visionPerImage;
    private final double languagePerToken;
    private final double attentionPerPair;
    private final double headPerTarget;

    /** Passes: 1 forward; each of the two backward products adds 1. */
    public Flops(ModelConfig config, List<Parameter> parameters, Set<Part> trained) {
        VisionConfig v = config.vision();
        LanguageConfig l = config.language();
        double visionPasses = trained.contains(Part.VISION) ? 3 : 1;
        double projectorPasses =
                trained.contains(Part.PROJECTOR) ? (trained.contains(Part.VISION) ? 3 : 2) : visionPasses > 1 ? 2 : 1;
        double languagePasses = trained.contains(Part.LANGUAGE) ? 3 : trained.size() > 0 ? 2 : 1;
        double patches = v.patches();
        visionPerImage = visionPasses
                        * (2 * matrices(parameters, Part.VISION) * patches
                                + 4.0 * v.usedLayers() * v.hiddenSize() * patches * patches)
                + projectorPasses
                        * 2
                        * matrices(parameters, Part.PROJECTOR)
                        * config.projector().tokensPerImage();
        languagePerToken = languagePasses * 2 * matrices(parameters, Part.LANGUAGE);
        attentionPerPair = languagePasses * 4.0 * l.numHiddenLayers() * l.hiddenSize();
        headPerTarget = languagePasses * 2.0 * l.hiddenSize() * l.vocabSize();
    }

    /** Weights that take part in a product for every token: matrices, without tables that are only looked up. */
    private static double matrices(List<Parameter> parameters, Part part) {
        return parameters.stream()
                .filter(p -> p.part() == part && p.shape().size() >= 2)
                .filter(p -> !p.name().contains("embed_tokens")
                        && !p.name().contains("position_embedding")
                        && !p.name().contains("lm_head"))
                .mapToDouble(Parameter::count)
                .sum();
    }

    /**
     * Operations of one micro-batch, forward and backward.
     *
     * @param vision encoder and projector
     * @param language the decoder's products with weights
     * @param attention the decoder's, of the pairs that may see each other
     * @param head at targets
     */
    public record Terms(double vision, double language, double attention, double head) {
        /** All of them. */
        public double total() {
            return vision + language + attention + head;
        }
    }

    /** Operations of one micro-batch, forward and backward. Attention counts the causal half. */
    public double of(Batch batch) {
        return terms(batch).total();
    }

    /** As {@link #of}, by part. */
    public Terms terms(Batch batch) {
        double pairs = 0;
        for (int s = 0; s < batch.segments(); s++) {
            double length = batch.segmentStarts()[s + 1] - batch.segmentStarts()[s];
            pairs += length * (length + 1) / 2;
        }
        return new Terms(
                visionPerImage * batch.imageCount(),
                languagePerToken * batch.tokens(),
                attentionPerPair * pairs,
                headPerTarget * batch.targets());
    }

    /** The terms of {@link #of}, for the log. */
    String formula(double peak) {
        return String.format(
                Locale.ROOT,
                "MFU = (images * %.4g + tokens * %.4g + causal pairs * %.4g + targets * %.4g FLOP) / seconds / workers /"
                        + " %.4g FLOP/s; the last is what a %dx%dx%d float32 product reaches in this process",
                visionPerImage,
                languagePerToken,
                attentionPerPair,
                headPerTarget,
                peak,
                PEAK_SIDE,
                PEAK_SIDE,
                PEAK_SIDE);
    }

    /** Operations per second of a square FLOAT32 matrix product in this process: the best try of half a second. */
    static double measuredPeak() {
        return measuredPeak(DType.FLOAT32, PEAK_SIDE);
    }

    /** Operations per second of a matrix product of {@code side} in this process: the best try of half a second, at least of three. */
    public static double measuredPeak(DType type, int side) {
        double best = Double.MAX_VALUE;
        long end = System.nanoTime() + PEAK_NANOS;
        for (int i = 0; i < PEAK_TRIES && (i < 3 || System.nanoTime() < end); i++) {
            try (Scope scope = Scope.open()) {
                Tensor a = scope.zeros(type, side, side);
                Tensor b = scope.zeros(type, side, side);
                Torch.start().synchronize();
                long start = System.nanoTime();
                scope.ops().linear(a, b);
                Torch.start().synchronize();
                best = Math.min(best, (System.nanoTime() - start) / 1e9);
            }
        }
        return 2.0 * side * side * side / best;
    }
}
