package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.operator.policy.Evaluation;
import java.util.List;

/** One thing to do. All can be done twice without harm. */
public sealed interface Action {
    /**
     * Makes the ConfigMap, the Service and the Job of an attempt.
     *
     * @param locations places that the workers read besides those in the frozen job
     */
    record StartAttempt(FrozenJob job, List<String> locations) implements Action {
        public StartAttempt {
            locations = List.copyOf(locations);
        }
    }

    /** Tells the workers of an attempt how many a queue has admitted: its Job was made before that was known. */
    record TellNodes(int attempt, int nodes) implements Action {}

    /** Deletes the Job; its pods get their grace period. */
    record StopAttempt(int attempt) implements Action {}

    /** Deletes the Job and the ConfigMap of an attempt that is long over. */
    record ForgetAttempt(int attempt) implements Action {}

    /** Makes an EvalJob for a checkpoint. */
    record Evaluate(Evaluation.Wanted wanted) implements Action {}

    /** Deletes the resource: its time to live is over. */
    record Expire() implements Action {}
}
