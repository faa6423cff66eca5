package io.vlmoperator.operator.policy;

import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import java.util.Optional;

/**
 * Finished stays finished, with one exception: a failed resource tries again when {@code workers} or {@code failure} were edited since
 * its last attempt was made (more memory, a larger budget, a later deadline). Deleted children never bring anything back to life.
 */
public final class Reopen {
    private Reopen() {}

    /** @param digest of {@code workers} and {@code failure} as they are now */
    public static boolean check(Subject subject, Observed observed, String digest) {
        var status = subject.status();
        if (!status.isTrue("Failed") || status.isTrue("Complete")) {
            return false;
        }
        long seen = status.condition("Failed")
                .map(c -> c.observedGeneration() == null ? 0 : c.observedGeneration())
                .orElse(0L);
        return subject.generation() > seen
                && status.lastAttempt()
                        .flatMap(last -> madeWith(observed, last.number()))
                        .filter(before -> !before.equals(digest))
                        .isPresent();
    }

    /** What the attempt was made with: its Job says so, or, when a deadline deleted that, its frozen job. */
    private static Optional<String> madeWith(Observed observed, int attempt) {
        return observed.job(attempt)
                .map(AttemptJob::retryDigest)
                .filter(known -> !known.isEmpty())
                .or(observed::frozenDigest);
    }
}
