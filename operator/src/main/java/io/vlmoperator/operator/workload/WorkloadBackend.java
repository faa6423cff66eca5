package io.vlmoperator.operator.workload;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.operator.model.Subject;
import java.util.List;

/** Makes and removes the pods of an attempt. Indexed Jobs are the one implementation; JobSet could be another. */
public interface WorkloadBackend {
    /**
     * Creates what is not there yet. What is there is never changed.
     *
     * @throws NameTakenException when a child's name belongs to somebody else
     */
    void start(Subject subject, FrozenJob job, List<String> locations, String retryDigest);

    /** Tells the workers of an attempt how many of them a queue has admitted. */
    void tellNodes(Subject subject, int attempt, int nodes);

    /** Ends the pods, with their grace period. */
    void stop(Subject subject, int attempt);

    /** Removes all that is left of an attempt. */
    void forget(Subject subject, int attempt);
}
