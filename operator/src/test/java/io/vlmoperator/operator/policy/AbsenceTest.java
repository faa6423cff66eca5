package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.subject;
import static io.vlmoperator.operator.Fixtures.with;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Condition;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AbsenceTest {
    private static final Resolution.Blocked MISSING =
            new Resolution.Blocked(Reason.ReferenceNotFound, "Dataset captoins does not exist", false);

    private static Subject waiting(Reason reason) {
        var accepted = new Condition("Accepted", "False", 1L, T0.toString(), reason.name(), "");
        return with(subject(PRETRAIN), RunStatus.EMPTY.withConditions(List.of(accepted)));
    }

    private static Deadline after(Subject subject, Resolution.Blocked blocked, long seconds) {
        return Absence.check(
                subject,
                new Observed(
                        T0.plusSeconds(seconds),
                        T0,
                        List.of(),
                        List.of(),
                        Optional.empty(),
                        blocked,
                        List.of(),
                        Optional.empty()),
                blocked);
    }

    @Test
    void fiveMinutesAfterItWasFirstMissed() {
        assertThat(after(subject(PRETRAIN), MISSING, 1000)).isEqualTo(new Deadline.Pending(T0.plusSeconds(1300)));
        assertThat(after(waiting(Reason.ReferenceNotFound), MISSING, 299))
                .isEqualTo(new Deadline.Pending(T0.plusSeconds(300)));
        assertThat(after(waiting(Reason.ReferenceNotFound), MISSING, 300))
                .isInstanceOfSatisfying(Deadline.Over.class, over -> {
                    assertThat(over.reason()).isEqualTo(Reason.ReferenceNotFound);
                    assertThat(over.message()).startsWith(MISSING.message()).contains("misspelt", "still waited for");
                });
    }

    @Test
    void whatIsThereAndNotReadyIsWaitedForInPeace() {
        var unready = new Resolution.Blocked(Reason.ReferenceNotReady, "Waiting for Dataset captions", false);
        assertThat(after(waiting(Reason.ReferenceNotReady), unready, 100_000)).isInstanceOf(Deadline.Off.class);
    }

    @Test
    void timeThatSomethingElseWasWaitedForDoesNotCount() {
        assertThat(after(waiting(Reason.ReferenceNotReady), MISSING, 400)).isInstanceOf(Deadline.Pending.class);
    }
}
