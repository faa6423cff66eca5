package io.vlmoperator.operator.policy;

import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The step clock: an attempt that has reported and then stays silent for {@code failure.stepDeadlineSeconds} is ended. It begins anew
 * with every attempt and never counts the time in which no operator listened.
 */
public final class Hang {
    private Hang() {}

    /** When the attempt was last heard; empty before its first report. */
    public static Optional<Instant> lastHeard(Subject subject, Observed observed, int attempt) {
        var memory = observed.report(attempt).map(Observed.Report::receivedAt);
        // After a restart of the operator, and when another replica was told, the status knows that there was a report.
        var status = subject.status()
                .progress()
                .filter(progress -> progress.attempt() != null && progress.attempt() == attempt)
                .map(Progress::updatedAt)
                .map(Instant::parse);
        // The newer of both: while another replica takes the reports, this one's memory stands still.
        return Stream.concat(memory.stream(), status.stream())
                .max(Comparator.naturalOrder())
                .map(heard -> heard.isBefore(observed.operatorStart()) ? observed.operatorStart() : heard);
    }

    public static Deadline check(Subject subject, Observed observed, int attempt) {
        var limit = Duration.ofSeconds(subject.work().failure().stepDeadlineSeconds());
        return lastHeard(subject, observed, attempt)
                .map(heard -> Deadline.at(
                        heard.plus(limit),
                        observed.now(),
                        Reason.ProgressSilent,
                        "No report for " + limit.toSeconds() + " s (failure.stepDeadlineSeconds)"))
                .orElse(new Deadline.Off());
    }
}
