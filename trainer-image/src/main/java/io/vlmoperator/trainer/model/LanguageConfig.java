package io.vlmoperator.trainer.model;

/**
 * Sizes of a Qwen2 decoder; the names are those of its {@code config.json}. Query, key and value have biases, nothing else has.
 *
 * @param ropeTheta base of the rotary frequencies
 * @param tieWordEmbeddings whether the head is the embedding
 */
public record LanguageConfig(
        int hiddenSize,
        int intermediateSize,
        int numHiddenLayers,
        int numAttentionHeads,
        int numKeyValueHeads,
        int vocabSize,
        double ropeTheta,
        double rmsNormEps,
        boolean tieWordEmbeddings,
        int maxPositionEmbeddings) {

    public LanguageConfig {
        Config.positive("hiddenSize", hiddenSize);
        Config.positive("intermediateSize", intermediateSize);
        Config.positive("numHiddenLayers", numHiddenLayers);
        Config.positive("numAttentionHeads", numAttentionHeads);
        Config.positive("numKeyValueHeads", numKeyValueHeads);
        Config.positive("vocabSize", vocabSize);
        Config.positive("maxPositionEmbeddings", maxPositionEmbeddings);
        Config.require(ropeTheta > 1, "ropeTheta " + ropeTheta + ", above 1 is needed");
        Config.require(rmsNormEps > 0, "rmsNormEps " + rmsNormEps + ", above 0 is needed");
        Config.require(
                hiddenSize % (2 * numAttentionHeads) == 0,
                "hiddenSize " + hiddenSize + " does not divide into " + numAttentionHeads + " heads of even size");
        Config.require(
                numAttentionHeads % numKeyValueHeads == 0,
                "numAttentionHeads " + numAttentionHeads + " is no multiple of numKeyValueHeads " + numKeyValueHeads);
    }

    /** Size of one attention head. */
    public int headDim() {
        return hiddenSize / numAttentionHeads;
    }
}
