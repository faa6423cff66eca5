package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** The language model: a Hugging Face folder, or sizes for a start from random weights. */
@ValidationRule(value = "has(self.location) != has(self.config)", message = Messages.LANGUAGE_FORM)
@ValidationRule(
        value = "!has(self.config) || has(self.tokenizer)",
        message = Messages.LANGUAGE_TOKENIZER,
        reason = "FieldValueRequired")
public record Language(
        @JsonPropertyDescription("Hugging Face folder with config.json, model*.safetensors and tokenizer.json.")
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String location,

        @JsonPropertyDescription("Sizes of a Qwen2 decoder that starts from random weights, under transformers' names.")
        Config config,

        @JsonPropertyDescription("Folder that holds tokenizer.json. Missing: location.")
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String tokenizer) {
    public Language {
        tokenizer = Defaults.or(tokenizer, location);
    }

    /** Sizes of a Qwen2 decoder, under transformers' names. */
    @ValidationRule(
            value =
                    "self.hiddenSize % self.numAttentionHeads == 0 && self.hiddenSize / self.numAttentionHeads % 2 == 0",
            message = Messages.LANGUAGE_HEADS)
    @ValidationRule(value = "self.numAttentionHeads % self.numKeyValueHeads == 0", message = Messages.LANGUAGE_GROUPS)
    public record Config(
            @JsonPropertyDescription("Width of the residual stream.") @Required @Min(2) @Max(65_536)
            Integer hiddenSize,

            @JsonPropertyDescription("Width of the MLP.") @Required @Min(1) @Max(262_144)
            Integer intermediateSize,

            @JsonPropertyDescription("Number of blocks.") @Required @Min(1) @Max(1024)
            Integer numHiddenLayers,

            @JsonPropertyDescription("Query heads.") @Required @Min(1) @Max(1024)
            Integer numAttentionHeads,

            @JsonPropertyDescription("Key and value heads (grouped-query attention).") @Required @Min(1) @Max(1024)
            Integer numKeyValueHeads,

            @JsonPropertyDescription("Rows of the embedding: at least the tokenizer's size.")
            @Required
            @Min(2)
            @Max(1_048_576)
            Integer vocabSize,

            @JsonPropertyDescription("Base of the rotary positions.")
            @Default("1000000.0")
            @Min(value = 1, inclusive = false)
            @Max(1e12)
            Double ropeTheta,

            @JsonPropertyDescription("Epsilon of RMSNorm.")
            @Default("1.0E-6")
            @Min(value = 0, inclusive = false)
            @Max(1)
            Double rmsNormEps,

            @JsonPropertyDescription("Whether the head shares the embedding's weights.") @Default("true")
            Boolean tieWordEmbeddings) {
        public Config {
            ropeTheta = Defaults.or(ropeTheta, 1e6);
            rmsNormEps = Defaults.or(rmsNormEps, 1e-6);
            tieWordEmbeddings = Defaults.or(tieWordEmbeddings, true);
        }
    }
}
