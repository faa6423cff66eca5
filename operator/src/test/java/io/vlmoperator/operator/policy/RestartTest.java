package io.vlmoperator.operator.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.policy.Restart.Verdict;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RestartTest {
    private static final Instant END = Instant.parse("2026-01-01T01:00:00Z");
    private static final Failure LIMITS = new Failure(2, 4, null, null, null, null, null, null);

    private static Attempt failed(int number, Reason reason) {
        return new Attempt(
                number,
                "2026-01-01T00:00:00Z",
                END.toString(),
                reason.failureClass().name(),
                reason.name(),
                "why",
                1,
                "n",
                5L,
                0L,
                2,
                null);
    }

    @Test
    void configurationIsNeverTriedAgain() {
        for (Reason reason : List.of(Reason.InvalidConfiguration, Reason.DoesNotFit)) {
            var verdict = Restart.after(List.of(failed(1, reason)), new Restarts(0, 0, 0), LIMITS);
            assertThat(verdict).as(reason.name()).isEqualTo(new Verdict.GiveUp(reason, reason + ": why"));
        }
    }

    @Test
    void budgetsAreSeparateAndTheLastFailureIsTheOneTooMany() {
        var user = List.of(failed(3, Reason.NonFinite));
        assertThat(Restart.after(user, new Restarts(2, 4, 6), LIMITS)).isInstanceOf(Verdict.Retry.class);
        assertThat(Restart.after(user, new Restarts(3, 4, 7), LIMITS))
                .isInstanceOfSatisfying(Verdict.GiveUp.class, end -> {
                    assertThat(end.reason()).isEqualTo(Reason.RestartBudgetExceeded);
                    assertThat(end.message()).contains("maxRestarts (2)").contains("NonFinite");
                });
        assertThat(Restart.after(List.of(failed(6, Reason.Evicted)), new Restarts(2, 5, 7), LIMITS))
                .isInstanceOfSatisfying(
                        Verdict.GiveUp.class,
                        end -> assertThat(end.message()).contains("maxInfrastructureRestarts (4)"));
    }

    @ParameterizedTest
    @EnumSource(FailureClass.class)
    void everyClassCountsAgainstItsBudget(FailureClass failure) {
        var after = Restart.count(new Restarts(1, 1, 2), failure);
        var expected = switch (failure) {
            case User, Data, OutOfMemory -> new Restarts(2, 1, 3);
            case Infrastructure, Hang, Peer -> new Restarts(1, 2, 3);
            case Preempted, Fenced -> new Restarts(1, 1, 3);
            case None, Configuration -> new Restarts(1, 1, 2);
        };
        assertThat(after).isEqualTo(expected);
    }

    @Test
    void aNewCheckpointRefillsBothBudgets() {
        assertThat(Restart.refill(new Restarts(2, 3, 9))).isEqualTo(new Restarts(0, 0, 9));
    }

    @Test
    void thePauseDoublesUpToFiveMinutesAndEndsNeverEarlier() {
        var attempts = List.of(failed(1, Reason.Killed));
        assertThat(Restart.pause(attempts, new Restarts(0, 1, 1))).isEqualTo(Duration.ofSeconds(2));
        assertThat(Restart.pause(attempts, new Restarts(1, 2, 3))).isEqualTo(Duration.ofSeconds(8));
        assertThat(Restart.pause(attempts, new Restarts(1, 40, 41))).isEqualTo(Duration.ofMinutes(5));
        assertThat(Restart.pause(attempts, new Restarts(0, Integer.MAX_VALUE - 1, 1)))
                .isEqualTo(Duration.ofMinutes(5));
        assertThat(Restart.after(attempts, new Restarts(0, 1, 1), LIMITS))
                .isEqualTo(new Verdict.Retry(END.plusSeconds(2)));
    }

    @Test
    void uncountedFailuresInARowStillPause() {
        var fenced = new ArrayList<Attempt>();
        for (int i = 1; i <= 10; i++) {
            fenced.add(failed(i, Reason.Fenced));
        }
        assertThat(Restart.pause(fenced, new Restarts(0, 0, 10))).isEqualTo(Duration.ofMinutes(5));
        assertThat(Restart.after(fenced, new Restarts(0, 0, 10), LIMITS)).isInstanceOf(Verdict.Retry.class);
    }

    private static Attempt told(int number, Reason reason, String message, Long resumedFrom) {
        var exit = reason == Reason.InvalidData ? 65 : 80;
        return new Attempt(
                number,
                "2026-01-01T00:00:00Z",
                END.toString(),
                reason.failureClass().name(),
                reason.name(),
                message,
                exit,
                "n",
                null,
                resumedFrom,
                1,
                null);
    }

    @Test
    void theSameEndTwiceIsFinalAndSaysWhatIsWrong() {
        for (Reason reason : List.of(Reason.InvalidData, Reason.NonFinite)) {
            var twice = List.of(told(4, reason, "no rows", 6L), told(5, reason, "no rows", 6L));
            assertThat(Restart.after(twice, new Restarts(2, 0, 2), LIMITS))
                    .as(reason.name())
                    .isEqualTo(new Verdict.GiveUp(reason, reason + ": no rows (attempts 4 and 5 ended alike)"));
        }
    }

    @Test
    void anotherMessageAnotherCheckpointOrAnotherReasonIsTriedAgain() {
        var first = told(1, Reason.InvalidData, "shard 3 is cut", 6L);
        for (Attempt second : List.of(
                told(2, Reason.InvalidData, "shard 4 is cut", 6L),
                told(2, Reason.InvalidData, "shard 3 is cut", 9L),
                told(2, Reason.InvalidData, "shard 3 is cut", null),
                told(2, Reason.NonFinite, "shard 3 is cut", 6L))) {
            assertThat(Restart.after(List.of(first, second), new Restarts(2, 0, 2), LIMITS))
                    .as("%s after %s", second, first)
                    .isInstanceOf(Verdict.Retry.class);
        }
        var silent = List.of(told(1, Reason.InvalidData, "", null), told(2, Reason.InvalidData, "", null));
        assertThat(Restart.after(silent, new Restarts(2, 0, 2), LIMITS)).isInstanceOf(Verdict.Retry.class);
        var killed = List.of(failed(1, Reason.Killed), failed(2, Reason.Killed));
        assertThat(Restart.after(killed, new Restarts(0, 2, 2), LIMITS))
                .as("kills say the same each time and are nobody's fault")
                .isInstanceOf(Verdict.Retry.class);
    }
}
