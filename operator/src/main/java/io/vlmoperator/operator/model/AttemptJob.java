package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.DatasetStage;
import java.time.Instant;
import java.util.Optional;

/**
 * The Job of one attempt, as observed.
 *
 * @param state from its conditions
 * @param message of the condition that ended it
 * @param stoppedAt when it was deleted and only waits for its pods
 * @param nodes pods it runs; a queue may have lowered it before the start
 * @param partly a queue may lower it
 * @param stage of a Dataset whose stages have Jobs of their own
 * @param retryDigest digest of the parts of the spec whose edit makes a failed resource try again; empty when unknown
 */
public record AttemptJob(
        int attempt,
        String name,
        State state,
        String message,
        Instant createdAt,
        Optional<Instant> endedAt,
        Optional<Instant> stoppedAt,
        int nodes,
        boolean partly,
        Optional<DatasetStage> stage,
        String retryDigest) {
    /** Where a Job stands. */
    public enum State {
        /** Held back by a queue. */
        Suspended,
        Active,
        /** It will fail; pods are still ending. */
        Failing,
        Failed,
        Complete
    }

    public boolean ended() {
        return state == State.Failed || state == State.Complete;
    }
}
