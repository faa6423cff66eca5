package io.vlmoperator.operator.policy;

import io.vlmoperator.api.status.Condition;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.Subject;
import java.time.Duration;
import java.time.Instant;

/**
 * Resources may be applied in any order, so a name that does not exist is first waited for. After five minutes it is taken for a
 * mistake: {@code Stalled=True} calls a person, while the resource goes on waiting and starts by itself when the thing appears.
 */
public final class Absence {
    static final Duration LIMIT = Duration.ofMinutes(5);

    private Absence() {}

    /** Over: it has been missing for long; the message says so. */
    public static Deadline check(Subject subject, Observed observed, Resolution.Blocked blocked) {
        if (blocked.reason() != Reason.ReferenceNotFound) {
            return new Deadline.Off();
        }
        var since = subject.status()
                .condition("Accepted")
                .filter(condition -> "False".equals(condition.status())
                        && Reason.ReferenceNotFound.name().equals(condition.reason()))
                .map(Condition::lastTransitionTime)
                .map(Instant::parse)
                .orElse(observed.now());
        return Deadline.at(
                since.plus(LIMIT),
                observed.now(),
                blocked.reason(),
                blocked.message() + "; missing for more than " + LIMIT.toMinutes()
                        + " minutes, so it may be misspelt (it is still waited for)");
    }
}
