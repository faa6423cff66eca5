package io.vlmoperator.api.status;

/**
 * A condition as Kubernetes defines it.
 *
 * @param status True, False or Unknown
 * @param lastTransitionTime RFC 3339
 * @param reason a constant of the operator's reasons
 */
public record Condition(
        String type,
        String status,
        Long observedGeneration,
        String lastTransitionTime,
        String reason,
        String message) {}
