package io.vlmoperator.api.spec;

import java.util.List;
import java.util.Map;

/** Reads a value that may be missing. */
final class Defaults {
    private Defaults() {}

    static <T> T or(T value, T fallback) {
        return value == null ? fallback : value;
    }

    static <T> List<T> copy(List<T> values) {
        return values == null ? List.of() : List.copyOf(values);
    }

    static <K, V> Map<K, V> copy(Map<K, V> values) {
        return values == null ? Map.of() : Map.copyOf(values);
    }
}
