package io.vlmoperator.api.spec;

/**
 * The language model: a Hugging Face folder, or sizes for a start from random weights.
 *
 * @param location folder with config.json, model*.safetensors and tokenizer.json
 * @param tokenizer folder that holds tokenizer.json; by default {@code location}
 */
public record Language(String location, Config config, String tokenizer) {
    public Language {
        tokenizer = Defaults.or(tokenizer, location);
    }

    /** Sizes of a Qwen2 decoder, under transformers' names. */
    public record Config(
            Integer hiddenSize,
            Integer intermediateSize,
            Integer numHiddenLayers,
            Integer numAttentionHeads,
            Integer numKeyValueHeads,
            Integer vocabSize,
            Double ropeTheta,
            Double rmsNormEps,
            Boolean tieWordEmbeddings) {
        public Config {
            ropeTheta = Defaults.or(ropeTheta, 1e6);
            rmsNormEps = Defaults.or(rmsNormEps, 1e-6);
            tieWordEmbeddings = Defaults.or(tieWordEmbeddings, true);
        }
    }
}
