package io.vlmoperator.operator.policy;

import java.time.Instant;

/** What a clock says: not yet (and when to look again), or over. */
public sealed interface Deadline {
    /** Look again at {@code until}. */
    record Pending(Instant until) implements Deadline {}

    /** It is over. */
    record Over(Reason reason, String message) implements Deadline {}

    /** This clock does not run now. */
    record Off() implements Deadline {}

    static Deadline at(Instant end, Instant now, Reason reason, String message) {
        return now.isBefore(end) ? new Pending(end) : new Over(reason, message);
    }
}
