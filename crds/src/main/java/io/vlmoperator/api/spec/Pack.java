package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** How samples become rows. A job must ask for the same context length, tokens per image and tokenizer. */
@ValidationRule(value = Squares.RULE, message = Messages.SQUARE, fieldPath = ".tokensPerImage")
@ValidationRule(
        value = "self.contextLength > self.tokensPerImage",
        message = Messages.CONTEXT,
        fieldPath = ".contextLength")
public record Pack(
        @JsonPropertyDescription("Tokens in a row, visual and text.") @Default("4096") @Min(2) @Max(131_072)
        Integer contextLength,

        @JsonPropertyDescription("Visual tokens of one image: a square.") @Default("144") @Min(1) @Max(4096)
        Integer tokensPerImage,

        @JsonPropertyDescription(
                "How rows are filled: FirstFitDecreasing (the longest sample first, into the first row with room), Streaming (samples nearly in their order, each row closed with those of a bounded window that fill it best), or None (one sample a row; conversations).")
        @Default("FirstFitDecreasing")
        Algorithm algorithm,

        @JsonPropertyDescription("Folder that holds tokenizer.json: the same as the model's.")
        @Required
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String tokenizer) {
    public Pack {
        contextLength = Defaults.or(contextLength, 4096);
        tokensPerImage = Defaults.or(tokensPerImage, 144);
        algorithm = Defaults.or(algorithm, Algorithm.FirstFitDecreasing);
    }

    /** How rows are filled. */
    public enum Algorithm {
        /** The longest sample first, into the first row with room (paper, algorithm 1). */
        FirstFitDecreasing,
        /** Nearly in order: the oldest samples of a bounded window, and the ones that fill what is left of the row best. */
        Streaming,
        /** One sample a row. */
        None
    }
}
