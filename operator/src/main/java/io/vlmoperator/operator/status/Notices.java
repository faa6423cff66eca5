package io.vlmoperator.operator.status;

import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import io.vlmoperator.operator.policy.Restart;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The events that a change of status deserves: one for each attempt that began or ended, and for each turn of the whole. */
public final class Notices {
    private Notices() {}

    /** @param warning or normal */
    public record Notice(Reason reason, String message, boolean warning) {}

    public static List<Notice> between(RunStatus old, RunStatus now) {
        var notices = new ArrayList<Notice>();
        for (Attempt attempt : now.attempts()) {
            var before = old.attempts().stream()
                    .filter(a -> a.number().equals(attempt.number()))
                    .findFirst();
            if (before.isEmpty() && newer(old, attempt)) {
                notices.add(new Notice(Reason.AttemptStarted, "Attempt " + attempt.number() + " started", false));
            }
            boolean ended = attempt.endedAt() != null
                    && (before.isEmpty() ? newer(old, attempt) : before.get().endedAt() == null);
            if (ended && !Reason.Completed.name().equals(attempt.reason())) {
                boolean failed = Restart.classOf(attempt) != FailureClass.None;
                var what = "Attempt " + attempt.number() + " ended: " + attempt.reason()
                        + (attempt.message() == null ? "" : ": " + attempt.message());
                notices.add(new Notice(failed ? Reason.AttemptFailed : Reason.AttemptStopped, what, failed));
            }
        }
        turn(old, now, "Accepted", "False", true, notices);
        now.condition("Progressing")
                .filter(c -> Reason.TrainingWarning.name().equals(c.reason()))
                .filter(c -> old.condition("Progressing")
                        .filter(o ->
                                c.reason().equals(o.reason()) && c.message().equals(o.message()))
                        .isEmpty())
                .map(c -> new Notice(Reason.TrainingWarning, c.message(), true))
                .ifPresent(notices::add);
        turn(old, now, "Suspended", "True", false, notices);
        turn(old, now, StatusReport.HELD, "True", true, notices);
        turn(old, now, "Complete", "True", false, notices);
        turn(old, now, "Failed", "True", true, notices);
        return notices;
    }

    /**
     * What a log says of this change: phase, reason and message, when one of the first two is another. Empty for news of other kinds, so
     * that a busy resource does not fill the log.
     */
    public static Optional<String> line(RunStatus old, RunStatus now) {
        var before = headline(old);
        return headline(now)
                .filter(after -> before.filter(
                                b -> same(b, after) && old.phase().equals(now.phase()))
                        .isEmpty())
                .map(after -> now.phase().map(Phase::name).orElse("") + ", " + after.reason()
                        + (after.message() == null || after.message().isEmpty() ? "" : ": " + after.message()));
    }

    private static boolean same(Condition a, Condition b) {
        return a.type().equals(b.type()) && a.reason().equals(b.reason());
    }

    /** The condition that tells why a resource is in its phase. */
    private static Optional<Condition> headline(RunStatus s) {
        if (s.isTrue(StatusReport.HELD)) {
            return s.condition(StatusReport.HELD);
        }
        return s.phase()
                .flatMap(phase -> s.condition(
                        switch (phase) {
                            case Pending -> "Accepted";
                            case Queued -> "Queued";
                            case Starting, Running, Restarting -> "Running";
                            case Suspended -> "Suspended";
                            case Complete -> "Complete";
                            case Failed -> "Failed";
                        }));
    }

    private static boolean newer(RunStatus old, Attempt attempt) {
        return old.lastAttempt().map(last -> last.number() < attempt.number()).orElse(true);
    }

    private static void turn(
            RunStatus old, RunStatus now, String type, String status, boolean warning, List<Notice> notices) {
        now.condition(type)
                .filter(c -> status.equals(c.status()))
                .filter(c -> old.condition(type)
                        .filter(o -> status.equals(o.status()) && o.reason().equals(c.reason()))
                        .isEmpty())
                .map(Notices::notice)
                // Resources may be applied in any order: waiting for one that is on its way is nothing to warn of.
                .map(n -> new Notice(n.reason(), n.message(), warning && n.reason() != Reason.ReferenceNotReady))
                .ifPresent(notices::add);
    }

    private static Notice notice(Condition condition) {
        var message =
                condition.message() == null || condition.message().isEmpty() ? condition.type() : condition.message();
        return new Notice(Reason.valueOf(condition.reason()), message, false);
    }
}
