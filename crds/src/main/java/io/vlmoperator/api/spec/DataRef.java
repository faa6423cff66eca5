package io.vlmoperator.api.spec;

/**
 * A Dataset in the same namespace and its weight in the mixture.
 */
public record DataRef(String dataset, Integer weight) {
    public DataRef {
        weight = Defaults.or(weight, 1);
    }
}
