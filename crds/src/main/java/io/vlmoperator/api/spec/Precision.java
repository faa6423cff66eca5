package io.vlmoperator.api.spec;

/** Number format of the forward and backward passes; the master weights are always 32 bits. */
public enum Precision {
    Float32,
    BFloat16
}
