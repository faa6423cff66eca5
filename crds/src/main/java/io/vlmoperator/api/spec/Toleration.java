package io.vlmoperator.api.spec;

/** As in a pod's spec. */
public record Toleration(String key, String operator, String value, String effect, Long tolerationSeconds) {}
