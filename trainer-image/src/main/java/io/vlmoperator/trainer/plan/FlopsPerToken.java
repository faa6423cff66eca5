package io.vlmoperator.trainer.plan;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;

/**
 * Floating point operations of training, per token of a row (visual or text), by part. The usual conventions: a multiplication with its
 * addition counts 2; what is formed a second time does not count; attention counts the keys that a token may see (the causal half); the
 * head counts at every token, although this trainer forms logits only where there is a target.
 *
 * @param linear the decoder's products with weights
 * @param attention the decoder's products of queries with keys and of probabilities with values
 * @param head hidden states with the vocabulary
 * @param vision the image encoder
 * @param projector between them
 */
public record FlopsPerToken(double linear, double attention, double head, double vision, double projector) {
    /** One product forward; its two products backward are those for the gradient of the input and of the weight. */
    private static final int FORWARD = 1;

    private static final int BOTH_WAYS = 3;

    /** All parts together. */
    public double total() {
        return linear + attention + head + vision + projector;
    }

    /** Of a workload. A frozen decoder still passes gradients on to what learns before it; a frozen encoder runs forward only. */
    public static FlopsPerToken of(Workload work) {
        LanguageConfig language = work.model().language();
        VisionConfig vision = work.model().vision();
        boolean anything = !work.trained().isEmpty();
        double languagePasses = work.trained().contains(Part.LANGUAGE) ? BOTH_WAYS : anything ? 2 : FORWARD;
        double visionPasses = work.trained().contains(Part.VISION) ? BOTH_WAYS : FORWARD;
        double projectorPasses = work.trained().contains(Part.PROJECTOR)
                ? BOTH_WAYS
                : work.trained().contains(Part.VISION) ? 2 : FORWARD;
        double patches = vision.patches();
        double perImage = visionPasses
                * (2 * products(work, Part.VISION) * patches
                        + attention(vision.usedLayers(), vision.hiddenSize(), patches) * patches);
        double projected = projectorPasses * 2 * products(work, Part.PROJECTOR) * work.tokensPerImage();
        return new FlopsPerToken(
                languagePasses * 2 * products(work, Part.LANGUAGE),
                languagePasses * attention(language.numHiddenLayers(), language.hiddenSize(), work.keysPerToken()),
                languagePasses * 2.0 * language.hiddenSize() * language.vocabSize(),
                perImage * work.imagesPerToken(),
                projected * work.imagesPerToken());
    }

    /** Forward, for one query that sees so many keys: its scores and the weighted sum of the values. */
    static double attention(int layers, int hidden, double keys) {
        return 4.0 * layers * hidden * keys;
    }

    /** Weights that a token is multiplied with: matrices, but for tables that are looked up and the head, which is counted by itself. */
    private static double products(Workload work, Part part) {
        return work.model().parameters().stream()
                .filter(parameter ->
                        parameter.part() == part && parameter.shape().size() >= 2)
                .filter(parameter -> !parameter.name().contains("embed_tokens")
                        && !parameter.name().contains("position_embedding")
                        && !parameter.name().contains("lm_head"))
                .mapToDouble(Parameter::count)
                .sum();
    }

    /**
     * Tokens per second of one device.
     *
     * @param mfu share of the peak that is reached, counted as here
     */
    public double tokensPerSecond(double peak, double mfu) {
        return peak * mfu / total();
    }
}
