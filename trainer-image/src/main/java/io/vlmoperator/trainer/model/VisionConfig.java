package io.vlmoperator.trainer.model;

/**
 * Sizes of a SigLIP image encoder; the names are those of its {@code config.json}.
 *
 * @param featureLayer which block's output is the feature, counted from the end as in LLaVA: -1 the last, -2 the one before. Later blocks
 *     are never built
 * @param activation which form of GELU
 */
public record VisionConfig(
        int imageSize,
        int patchSize,
        int hiddenSize,
        int intermediateSize,
        int numHiddenLayers,
        int numAttentionHeads,
        double layerNormEps,
        int featureLayer,
        Activation activation) {

    /** The two forms of GELU: SigLIP was trained with Tanh, the paper's code runs Erf. */
    public enum Activation {
        Tanh,
        Erf
    }

    public VisionConfig {
        Config.positive("patchSize", patchSize);
        Config.positive("hiddenSize", hiddenSize);
        Config.positive("intermediateSize", intermediateSize);
        Config.positive("numHiddenLayers", numHiddenLayers);
        Config.positive("numAttentionHeads", numAttentionHeads);
        Config.require(imageSize >= patchSize, "imageSize " + imageSize + " is smaller than patchSize " + patchSize);
        Config.require(layerNormEps > 0, "layerNormEps " + layerNormEps + ", above 0 is needed");
        Config.require(
                hiddenSize % numAttentionHeads == 0,
                "vision hiddenSize " + hiddenSize + " does not divide into " + numAttentionHeads + " heads");
        Config.require(
                featureLayer < 0 && numHiddenLayers + featureLayer >= 0,
                "featureLayer " + featureLayer + " of " + numHiddenLayers
                        + " layers; it counts from the end, -2 is the usual one");
    }

    /** Patches along one side; pixels beyond are not read. */
    public int patchesPerSide() {
        return imageSize / patchSize;
    }

    /** Patches of an image. */
    public int patches() {
        return patchesPerSide() * patchesPerSide();
    }

    /** Number of blocks that run: up to the feature. */
    public int usedLayers() {
        return numHiddenLayers + featureLayer + 1;
    }
}
