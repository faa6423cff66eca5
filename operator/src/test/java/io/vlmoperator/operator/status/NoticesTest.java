package io.vlmoperator.operator.status;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NoticesTest {
    private static RunStatus status(List<Attempt> attempts, Condition... conditions) {
        var e = RunStatus.EMPTY;
        return new RunStatus(
                e.phase(),
                1,
                e.startedAt(),
                e.finishedAt(),
                e.progress(),
                e.checkpoints(),
                List.of(),
                attempts,
                e.restarts(),
                e.export(),
                e.dataset(),
                e.source(),
                List.of(conditions));
    }

    private static Attempt attempt(int number, Reason ended) {
        var failed = ended != null && ended != Reason.Completed && ended != Reason.Suspended;
        return new Attempt(
                number,
                "2026-01-01T00:00:00Z",
                ended == null ? null : "2026-01-01T00:01:00Z",
                failed ? ended.failureClass().name() : null,
                ended == null ? null : ended.name(),
                "why",
                null,
                null,
                null,
                null,
                2,
                null);
    }

    private static Condition condition(String type, String status, Reason reason) {
        return new Condition(type, status, 1L, "2026-01-01T00:00:00Z", reason.name(), "message");
    }

    @Test
    void attemptsThatBeginAndEnd() {
        var running = status(List.of(attempt(1, null)));
        assertThat(Notices.between(RunStatus.EMPTY, running))
                .extracting(Notices.Notice::reason)
                .containsExactly(Reason.AttemptStarted);
        var next = status(List.of(attempt(1, Reason.Killed), attempt(2, null)));
        assertThat(Notices.between(running, next))
                .extracting(Notices.Notice::reason)
                .containsExactly(Reason.AttemptFailed, Reason.AttemptStarted);
        assertThat(Notices.between(running, status(List.of(attempt(1, Reason.Suspended)))))
                .extracting(Notices.Notice::reason)
                .containsExactly(Reason.AttemptStopped);
        assertThat(Notices.between(running, status(List.of(attempt(1, Reason.Completed)))))
                .isEmpty();
        assertThat(Notices.between(next, next)).isEmpty();
    }

    @Test
    void turnsOfTheWholeAndNewReasonsOfWaiting() {
        var notFound = status(List.of(), condition("Accepted", "False", Reason.ReferenceNotFound));
        var notReady = status(List.of(), condition("Accepted", "False", Reason.ReferenceNotReady));
        assertThat(Notices.between(RunStatus.EMPTY, notFound))
                .singleElement()
                .satisfies(n -> assertThat(n.warning()).isTrue());
        assertThat(Notices.between(notFound, notFound)).isEmpty();
        assertThat(Notices.between(notFound, notReady))
                .singleElement()
                .satisfies(n -> assertThat(n.warning()).isFalse());
        var complete = status(List.of(), condition("Complete", "True", Reason.Completed));
        assertThat(Notices.between(notReady, complete)).singleElement().satisfies(n -> {
            assertThat(n.reason()).isEqualTo(Reason.Completed);
            assertThat(n.warning()).isFalse();
        });
    }

    @Test
    void aLogHasALineForEachTurnAndNoneForOtherNews() {
        var waiting = phase(Phase.Pending, condition("Accepted", "False", Reason.ReferenceNotReady));
        assertThat(Notices.line(RunStatus.EMPTY, waiting)).hasValue("Pending, ReferenceNotReady: message");
        assertThat(Notices.line(waiting, waiting)).isEmpty();
        var missing = phase(Phase.Pending, condition("Accepted", "False", Reason.ReferenceNotFound));
        assertThat(Notices.line(waiting, missing)).hasValue("Pending, ReferenceNotFound: message");
        var starting = phase(Phase.Starting, condition("Running", "False", Reason.Starting));
        assertThat(Notices.line(missing, starting)).hasValue("Starting, Starting: message");
        var other = phase(
                Phase.Starting,
                new Condition("Running", "False", 2L, "2026-01-01T00:00:09Z", Reason.Starting.name(), "other words"));
        assertThat(Notices.line(starting, other)).as("other words of the same").isEmpty();
        var again = phase(Phase.Running, condition("Running", "True", Reason.Running));
        assertThat(Notices.line(other, again)).hasValue("Running, Running: message");
    }

    private static RunStatus phase(Phase phase, Condition condition) {
        return new RunStatus(
                Optional.of(phase),
                1,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                List.of(),
                RunStatus.NO_RESTARTS,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(condition));
    }

    @Test
    void eachNewWarningOfARunIsOneEvent() {
        var quiet = status(List.of(attempt(1, null)), condition("Progressing", "True", Reason.Reporting));
        var warned = status(List.of(attempt(1, null)), warning("step 12 was skipped"));
        var again = status(List.of(attempt(1, null)), warning("step 19 was skipped"));
        var expected = new Notices.Notice(Reason.TrainingWarning, "step 12 was skipped", true);
        assertThat(Notices.between(quiet, warned)).containsExactly(expected);
        assertThat(Notices.between(warned, warned)).isEmpty();
        assertThat(Notices.between(warned, again))
                .containsExactly(new Notices.Notice(Reason.TrainingWarning, "step 19 was skipped", true));
        assertThat(Notices.between(again, quiet)).isEmpty();
    }

    private static Condition warning(String message) {
        return new Condition("Progressing", "True", 1L, "2026-01-01T00:00:00Z", Reason.TrainingWarning.name(), message);
    }
}
