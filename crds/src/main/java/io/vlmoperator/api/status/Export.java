package io.vlmoperator.api.status;

/** The model in a format that other programs open. */
public record Export(String location, String format, String digest) {}
