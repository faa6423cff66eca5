package io.vlmoperator.operator.workload;

/**
 * @param image of the trainer
 * @param progressUrl scheme, host and port of the progress endpoint as workers reach it
 */
public record WorkloadSettings(String image, String progressUrl) {}
