package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.SFT;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.subject;
import static io.vlmoperator.operator.Fixtures.with;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.References.Ref;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class HoldsTest {
    private static final Ref CAPTIONS = new Ref(Kind.Dataset, "captions");

    private static Subject begun(String yaml, String... isTrue) {
        var conditions = List.of(isTrue).stream()
                .map(type -> new Condition(type, "True", 1L, T0.toString(), "Completed", ""))
                .toList();
        var e = RunStatus.EMPTY;
        return with(
                subject(yaml),
                new RunStatus(
                        Optional.empty(),
                        1,
                        Optional.of(T0),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        List.of(),
                        List.of(Attempt.begun(1, T0.toString(), 2)),
                        e.restarts(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        conditions));
    }

    @Test
    void jobsThatHaveBegunAndAreNotFinishedUseIt() {
        assertThat(Holds.users(CAPTIONS, List.of(begun(PRETRAIN), begun(SFT), begun(EVAL))))
                .containsExactly("PretrainJob emoji");
        assertThat(Holds.users(new Ref(Kind.Dataset, "questions"), List.of(begun(PRETRAIN), begun(SFT))))
                .containsExactly("SFTJob emoji");
        assertThat(Holds.users(CAPTIONS, List.of(begun(PRETRAIN, "Complete")))).isEmpty();
        assertThat(Holds.users(CAPTIONS, List.of(begun(PRETRAIN, "Failed")))).isEmpty();
        assertThat(Holds.users(CAPTIONS, List.of(begun(PRETRAIN, "Suspended"))))
                .as("a suspended job will read it again")
                .hasSize(1);
        assertThat(Holds.users(CAPTIONS, List.of(subject(PRETRAIN))))
                .as("a job that waits holds nothing: what it waits for may have to be replaced")
                .isEmpty();
    }

    @Test
    void theFinalizerIsThereWhileItIsUsed() {
        var users = List.of("PretrainJob emoji");
        assertThat(Holds.decide(users, false, false)).isEqualTo(Holds.Verdict.Add);
        assertThat(Holds.decide(users, true, false)).isEqualTo(Holds.Verdict.Leave);
        assertThat(Holds.decide(users, true, true)).isEqualTo(Holds.Verdict.Leave);
        assertThat(Holds.decide(users, false, true))
                .as("nothing can be added to what is being deleted")
                .isEqualTo(Holds.Verdict.Leave);
        assertThat(Holds.decide(List.of(), true, true)).isEqualTo(Holds.Verdict.Remove);
        assertThat(Holds.decide(List.of(), true, false)).isEqualTo(Holds.Verdict.Remove);
        assertThat(Holds.decide(List.of(), false, false)).isEqualTo(Holds.Verdict.Leave);
    }

    @Test
    void theMessageNamesTheJobsAndStaysShort() {
        assertThat(Holds.message(List.of("PretrainJob a", "SFTJob b"))).contains("in use by PretrainJob a, SFTJob b;");
        var many = IntStream.range(0, 40)
                .mapToObj(i -> "SFTJob " + "x".repeat(38) + i)
                .toList();
        assertThat(Holds.message(many)).contains("and 35 more").hasSizeLessThan(500);
    }
}
