package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.TerminationMessage;
import java.time.Instant;
import java.util.Optional;

/**
 * One worker's pod, as observed.
 *
 * @param node empty while it is not scheduled
 * @param waiting why it does not start: a container's waiting reason, or Unschedulable
 * @param podReason the pod's own reason (Evicted, NodeLost, ...), or empty
 * @param disruption reason of a DisruptionTarget condition, or empty
 * @param end how its container ended
 */
public record WorkerPod(
        int attempt,
        int index,
        String name,
        String node,
        Phase phase,
        boolean deleting,
        Instant createdAt,
        Optional<Waiting> waiting,
        String podReason,
        String disruption,
        Optional<End> end) {
    /** A pod's phase. */
    public enum Phase {
        Pending,
        Running,
        Succeeded,
        Failed,
        Unknown
    }

    /** Why a pod does not start. */
    public record Waiting(String reason, String message) {}

    /**
     * @param reason of the container's end (Completed, Error, OOMKilled)
     * @param lastWord what the trainer left, when it can be read
     * @param text the termination message as it stands
     */
    public record End(
            int exitCode, String reason, Instant finishedAt, Optional<TerminationMessage> lastWord, String text) {}

    /** No process of it runs any more. */
    public boolean over() {
        return phase == Phase.Succeeded || phase == Phase.Failed;
    }
}
