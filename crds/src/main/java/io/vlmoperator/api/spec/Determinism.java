package io.vlmoperator.api.spec;

/** Exact: the same bits on every run on a GPU, at some cost; on a CPU both are exact. */
public enum Determinism {
    Fast,
    Exact
}
