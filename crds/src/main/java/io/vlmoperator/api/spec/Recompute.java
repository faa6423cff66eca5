package io.vlmoperator.api.spec;

/** Which activations are computed again in the backward pass instead of kept. */
public enum Recompute {
    None,
    Selective,
    Full
}
