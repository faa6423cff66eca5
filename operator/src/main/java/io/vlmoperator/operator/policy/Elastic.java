package io.vlmoperator.operator.policy;

import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.model.WorkerPod;
import java.util.List;
import java.util.Optional;

/**
 * {@code workers.minNodes}: an attempt starts with {@code workers.nodes}. When at the startup deadline not all of its workers have a
 * node but at least {@code minNodes} have, it ends and the next one starts with as many as had. The attempt after that one tries
 * {@code nodes} again: that is how a run grows back. Global batch and order of the data do not depend on it.
 */
public final class Elastic {
    private Elastic() {}

    /** An attempt can go on with fewer. */
    public record Shortage(int scheduled, String message) {}

    /** Nodes of the attempt that follows {@code last}. */
    public static int nodes(Workers workers, Optional<Attempt> last) {
        return last.filter(attempt -> Reason.NodesMissing.name().equals(attempt.reason()))
                .map(Attempt::scheduled)
                .map(scheduled -> Math.clamp(scheduled, workers.minNodes(), workers.nodes()))
                .orElse(workers.nodes());
    }

    /** At the startup deadline: whether the next attempt can do with the nodes that were found. Never for all, nor for too few. */
    public static Optional<Shortage> shortage(Work work, AttemptJob job, List<WorkerPod> pods) {
        int scheduled = scheduled(pods);
        int least = work.workers(job.stage().orElse(null)).minNodes();
        return scheduled >= least && scheduled < job.nodes()
                ? Optional.of(new Shortage(
                        scheduled,
                        "Only " + scheduled + " of " + job.nodes() + " workers had a node after "
                                + work.failure().startupDeadlineSeconds()
                                + " s (failure.startupDeadlineSeconds); the next attempt starts with " + scheduled
                                + " (workers.minNodes is " + least + ")"))
                : Optional.empty();
    }

    /** Whether a queue may admit an attempt of so many nodes with fewer. */
    public static boolean partly(Workers workers, int nodes) {
        return workers.queue() != null && workers.minNodes() < nodes;
    }

    static int scheduled(List<WorkerPod> pods) {
        return Math.toIntExact(pods.stream()
                .filter(pod -> !pod.node().isEmpty() && !pod.deleting())
                .map(WorkerPod::index)
                .distinct()
                .count());
    }
}
