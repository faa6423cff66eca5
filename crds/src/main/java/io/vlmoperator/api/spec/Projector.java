package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.ValidationRule;

/** Average pooling to a square of tokens, then two linear layers with GELU between them. */
@ValidationRule(value = Squares.RULE, message = Messages.SQUARE, fieldPath = ".tokensPerImage")
public record Projector(
        @JsonPropertyDescription("Visual tokens of one image: a square, at most the vision encoder's grid.")
        @Required
        @Min(1)
        @Max(4096)
        Integer tokensPerImage) {}
