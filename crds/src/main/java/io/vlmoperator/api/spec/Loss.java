package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;

/** How token losses become one number. */
public record Loss(
        @JsonPropertyDescription(
                "Tokens: the sum over all valid targets of the global batch, divided by their number. MicroBatch: the paper's mean of means.")
        @Default("Tokens")
        Normalization normalization) {
    public Loss {
        normalization = Defaults.or(normalization, Normalization.Tokens);
    }

    /** What the sum is divided by. */
    public enum Normalization {
        /** Sum over all valid targets of the global batch, divided by their number. */
        Tokens,
        /** The paper's: mean over micro-batches of their means. */
        MicroBatch
    }
}
