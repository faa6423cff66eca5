package io.vlmoperator.api.spec;

/**
 * The vision encoder: a Hugging Face SigLIP folder, or sizes for a start from random weights.
 *
 * @param featureLayer which block's output is used, counted from the end; -2 is the second to last, without the final norm
 * @param activation the GELU of the encoder
 */
public record Vision(String location, Config config, Integer featureLayer, Activation activation) {
    public Vision {
        featureLayer = Defaults.or(featureLayer, -2);
        activation = Defaults.or(activation, Activation.Tanh);
    }

    /** Sizes of a SigLIP encoder, under transformers' names. */
    public record Config(
            Integer imageSize,
            Integer patchSize,
            Integer hiddenSize,
            Integer intermediateSize,
            Integer numHiddenLayers,
            Integer numAttentionHeads) {}

    /** Form of GELU. */
    public enum Activation {
        Tanh,
        Erf
    }
}
