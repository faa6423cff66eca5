package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** The vision encoder: a Hugging Face SigLIP folder, or sizes for a start from random weights. */
@ValidationRule(value = "has(self.location) != has(self.config)", message = Messages.VISION_FORM)
@ValidationRule(
        value = "!has(self.config) || -self.featureLayer <= self.config.numHiddenLayers",
        message = Messages.VISION_LAYER,
        fieldPath = ".featureLayer")
public record Vision(
        @JsonPropertyDescription("Hugging Face folder of a SigLIP encoder.")
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String location,

        @JsonPropertyDescription(
                "Sizes of a SigLIP encoder that starts from random weights, under transformers' names.")
        Config config,

        @JsonPropertyDescription(
                "Which block's output is used, counted from the end; -2 is the second to last, without the final norm.")
        @Default("-2")
        @Min(-1024)
        @Max(-1)
        Integer featureLayer,

        @JsonPropertyDescription("Form of the encoder's GELU: Tanh or Erf.") @Default("Tanh")
        Activation activation) {
    public Vision {
        featureLayer = Defaults.or(featureLayer, -2);
        activation = Defaults.or(activation, Activation.Tanh);
    }

    /** Sizes of a SigLIP encoder, under transformers' names. */
    @ValidationRule(value = "self.hiddenSize % self.numAttentionHeads == 0", message = Messages.VISION_HEADS)
    @ValidationRule(value = "self.patchSize <= self.imageSize", message = Messages.VISION_PATCH)
    public record Config(
            @JsonPropertyDescription("Side of the square image in pixels.") @Required @Min(1) @Max(8192)
            Integer imageSize,

            @JsonPropertyDescription("Side of a patch in pixels; a remainder of the image is cut off.")
            @Required
            @Min(1)
            @Max(8192)
            Integer patchSize,

            @JsonPropertyDescription("Width of the residual stream.") @Required @Min(1) @Max(65_536)
            Integer hiddenSize,

            @JsonPropertyDescription("Width of the MLP.") @Required @Min(1) @Max(262_144)
            Integer intermediateSize,

            @JsonPropertyDescription("Number of blocks.") @Required @Min(1) @Max(1024)
            Integer numHiddenLayers,

            @JsonPropertyDescription("Attention heads.") @Required @Min(1) @Max(1024)
            Integer numAttentionHeads) {}

    /** Form of GELU. */
    public enum Activation {
        Tanh,
        Erf
    }
}
