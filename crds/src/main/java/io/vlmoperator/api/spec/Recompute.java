package io.vlmoperator.api.spec;

/** Which activations are computed again in the backward pass instead of kept. */
public enum Recompute {
    /** None: all are kept. */
    None,
    /** Norms, activations and attention; results of matrix products are kept. */
    Selective,
    /** All of a layer but its input. */
    Full
}
