package io.vlmoperator.api.spec;

/**
 * @param location the run folder
 * @param secretRef Secret with S3 credentials, in the same namespace
 */
public record JobOutput(String location, String secretRef) {}
