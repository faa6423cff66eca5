package io.vlmoperator.api.spec;

/** How token losses become one number. */
public record Loss(Normalization normalization) {
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
