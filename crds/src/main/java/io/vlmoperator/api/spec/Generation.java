package io.vlmoperator.api.spec;

/** Greedy decoding of answers. */
public record Generation(Integer maxNewTokens) {
    public Generation {
        maxNewTokens = Defaults.or(maxNewTokens, 16);
    }
}
