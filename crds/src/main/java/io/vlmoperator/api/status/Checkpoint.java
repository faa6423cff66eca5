package io.vlmoperator.api.status;

/**
 * A complete checkpoint in storage.
 *
 * @param time RFC 3339
 * @param location its folder
 * @param digest SHA-256 of its manifest, as {@code sha256:...}
 * @param loss training loss at the step
 */
public record Checkpoint(Long step, String time, String location, String digest, Long bytes, Double loss) {}
