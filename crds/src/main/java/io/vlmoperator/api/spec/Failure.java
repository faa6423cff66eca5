package io.vlmoperator.api.spec;

/**
 * What happens when an attempt fails, and how long each part of a run may take. Budgets refill after a new durable checkpoint.
 *
 * @param maxRestarts restarts after errors of the program or the data
 * @param maxInfrastructureRestarts restarts after lost nodes, evictions, killed pods and hangs
 * @param startupDeadlineSeconds from the creation of an attempt's pods until its first report (queueing is not counted)
 * @param stepDeadlineSeconds longest silence between two reports of progress
 * @param activeDeadlineSeconds the whole resource, from its start
 * @param gracePeriodSeconds time to save after SIGTERM
 */
public record Failure(
        Integer maxRestarts,
        Integer maxInfrastructureRestarts,
        Integer startupDeadlineSeconds,
        Integer stepDeadlineSeconds,
        Integer activeDeadlineSeconds,
        Integer gracePeriodSeconds) {
    public static final Failure DEFAULT = new Failure(null, null, null, null, null, null);

    public Failure {
        maxRestarts = Defaults.or(maxRestarts, 3);
        maxInfrastructureRestarts = Defaults.or(maxInfrastructureRestarts, 50);
        startupDeadlineSeconds = Defaults.or(startupDeadlineSeconds, 1800);
        stepDeadlineSeconds = Defaults.or(stepDeadlineSeconds, 600);
        activeDeadlineSeconds = Defaults.or(activeDeadlineSeconds, 604_800);
        gracePeriodSeconds = Defaults.or(gracePeriodSeconds, 120);
    }
}
