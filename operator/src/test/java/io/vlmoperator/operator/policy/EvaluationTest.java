package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class EvaluationTest {
    private static final String YAML = PRETRAIN.replace(
            "spec:",
            "spec:\n  evaluate: {everyCheckpoints: 2, benchmarks: [{name: names, location: \"pvc://data/n.tsv\"}]}");

    private static Optional<Evaluation.Wanted> next(
            Checkpoint latest, boolean complete, Observed.Evaluation... children) {
        var observed = new Observed(
                T0,
                T0,
                List.of(),
                List.of(),
                Optional.empty(),
                Resolution.Ready.NOTHING,
                List.of(children),
                Optional.empty());
        return Evaluation.next(subject(YAML), observed, Optional.of(latest), complete);
    }

    @Test
    void everySecondCheckpointAndTheLastOne() {
        assertThat(next(checkpoint(100), false)).isEmpty();
        assertThat(next(checkpoint(200), false)).isPresent();
        assertThat(next(checkpoint(250), false)).isEmpty();
        assertThat(next(checkpoint(250), true)).isPresent();
        assertThat(next(checkpoint(0), true)).as("nothing was trained").isEmpty();
    }

    @Test
    void notTwiceNotBackwardsAndOneAtATime() {
        var done = new Observed.Evaluation("emoji-step-200", 200, true, List.of());
        assertThat(next(checkpoint(200), false, done)).isEmpty();
        assertThat(next(checkpoint(400), false, done)).isPresent();
        assertThat(next(checkpoint(400), false, new Observed.Evaluation("x", 200, false, List.of())))
                .isEmpty();
    }

    @Test
    void theEvalJobScoresThatStepIntoAFolderOfItsOwn() {
        var spec = next(checkpoint(200), false).orElseThrow().spec();
        assertThat(spec.checkpoint().pretrainJob().step()).isEqualTo(200);
        assertThat(spec.output().location()).isEqualTo("pvc://runs/emoji/evaluations/step-000000200");
        assertThat(spec.workers().nodes()).isEqualTo(1);
    }

    @Test
    void longNamesAreShortenedAndStayApart() {
        var first = Evaluation.name("a".repeat(39) + "b", 1_000_000);
        var second = Evaluation.name("a".repeat(39) + "c", 1_000_000);
        assertThat(first).hasSizeLessThanOrEqualTo(40).endsWith("-step-1000000").isNotEqualTo(second);
        assertThat(Evaluation.name("emoji", 5)).isEqualTo("emoji-step-5");
    }
}
