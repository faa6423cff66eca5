package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;

/**
 * Whether and when a failed attempt is followed by another: two budgets, refilled by every new durable checkpoint; a pause that doubles
 * from 2 s to 5 min; errors of configuration are never tried again, and what follows from data and weights alone not when it came twice.
 */
public final class Restart {
    static final Duration FIRST_PAUSE = Duration.ofSeconds(2);
    static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);

    private Restart() {}

    /** What follows a failed attempt. */
    public sealed interface Verdict {
        /** Another attempt, not before {@code at}. */
        record Retry(Instant at) implements Verdict {}

        /** The end. */
        record GiveUp(Reason reason, String message) implements Verdict {}
    }

    /** The counters after one more failure of this class. */
    public static Restarts count(Restarts used, FailureClass failure) {
        return switch (failure) {
            case User, Data, OutOfMemory -> new Restarts(used.user() + 1, used.infrastructure(), used.total() + 1);
            case Infrastructure, Hang, Peer -> new Restarts(used.user(), used.infrastructure() + 1, used.total() + 1);
            case Preempted, Fenced -> new Restarts(used.user(), used.infrastructure(), used.total() + 1);
            case None, Configuration -> used;
        };
    }

    /** The budgets after a new durable checkpoint. */
    public static Restarts refill(Restarts used) {
        return new Restarts(0, 0, used.total());
    }

    /**
     * @param used counters that already include the failure of the last attempt
     * @param attempts the newest is the one that failed
     */
    public static Verdict after(List<Attempt> attempts, Restarts used, Failure limits) {
        var failed = attempts.getLast();
        var failure = classOf(failed);
        if (failure == FailureClass.Configuration) {
            return new Verdict.GiveUp(reasonOf(failed), text(failed));
        }
        if (attempts.size() > 1 && again(attempts.get(attempts.size() - 2), failed)) {
            return new Verdict.GiveUp(
                    reasonOf(failed),
                    text(failed) + " (attempts "
                            + attempts.get(attempts.size() - 2).number() + " and " + failed.number() + " ended alike)");
        }
        if (used.user() > limits.maxRestarts()) {
            return new Verdict.GiveUp(
                    Reason.RestartBudgetExceeded,
                    "failure.maxRestarts (" + limits.maxRestarts() + ") is used up; last: " + text(failed));
        }
        if (used.infrastructure() > limits.maxInfrastructureRestarts()) {
            return new Verdict.GiveUp(
                    Reason.RestartBudgetExceeded,
                    "failure.maxInfrastructureRestarts (" + limits.maxInfrastructureRestarts() + ") is used up; last: "
                            + text(failed));
        }
        return new Verdict.Retry(Instant.parse(failed.endedAt()).plus(pause(attempts, used)));
    }

    /** A run is exact: the same end from the same checkpoint, by the data or by the numbers, comes a third time. */
    private static boolean again(Attempt before, Attempt failed) {
        var reason = failed.reason();
        return (Reason.InvalidData.name().equals(reason)
                        || Reason.NonFinite.name().equals(reason))
                && reason.equals(before.reason())
                && Objects.equals(failed.exitCode(), before.exitCode())
                && Objects.equals(failed.resumedFrom(), before.resumedFrom())
                && failed.message() != null
                && !failed.message().isBlank()
                && failed.message().equals(before.message());
    }

    static Duration pause(List<Attempt> attempts, Restarts used) {
        int inRow = used.user() + used.infrastructure();
        for (int i = attempts.size() - 1; i >= 0 && !counted(classOf(attempts.get(i))); i--) {
            inRow++;
        }
        if (inRow <= 0) {
            return Duration.ZERO;
        }
        var pause = FIRST_PAUSE.multipliedBy(1L << Math.min(inRow - 1, 20));
        return pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
    }

    private static boolean counted(FailureClass failure) {
        return failure != FailureClass.Preempted && failure != FailureClass.Fenced;
    }

    /** None for an attempt that succeeded, runs or was suspended. */
    public static FailureClass classOf(Attempt attempt) {
        return attempt.failureClass() == null ? FailureClass.None : FailureClass.valueOf(attempt.failureClass());
    }

    private static Reason reasonOf(Attempt attempt) {
        return Reason.valueOf(attempt.reason());
    }

    private static String text(Attempt attempt) {
        return attempt.reason()
                + (attempt.message() == null || attempt.message().isBlank() ? "" : ": " + attempt.message());
    }
}
