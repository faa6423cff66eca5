package io.vlmoperator.operator.policy;

import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import java.time.Duration;

/** {@code failure.activeDeadlineSeconds} from the start of the first attempt; then the resource fails, whatever its budgets. */
public final class ActiveDeadline {
    private ActiveDeadline() {}

    public static Deadline check(Subject subject, Observed observed) {
        var limit = Duration.ofSeconds(subject.work().failure().activeDeadlineSeconds());
        return subject.status()
                .startedAt()
                .map(start -> Deadline.at(
                        start.plus(limit),
                        observed.now(),
                        Reason.ActiveDeadlineExceeded,
                        "Not finished " + limit.toSeconds() + " s after its start (failure.activeDeadlineSeconds)"))
                .orElse(new Deadline.Off());
    }
}
