package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Checkpoint;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RunFactsTest {
    private final RunFacts facts = new RunFacts();

    private static Checkpoint checkpoint(long step) {
        return new Checkpoint(step, "2026-01-01T00:00:00Z", "pvc://a/b", "sha256:0", 1L, 1.0);
    }

    @Test
    void saysWhereAWorkerIsAndWhenAllWereHeardOf() {
        assertThat(facts.situation()).as("nothing has begun").isEmpty();
        facts.doing("waiting for the data of micro-batch 1 of 2");
        assertThat(facts.situation())
                .hasValueSatisfying(
                        text -> assertThat(text)
                                .matches(
                                        "this worker is waiting for the data of micro-batch 1 of 2 for \\d+\\.\\d s, before any step"));
        facts.resumed(6);
        assertThat(facts.situation())
                .hasValueSatisfying(text -> assertThat(text)
                        .matches(
                                "this worker is in step 7, waiting for the data of micro-batch 1 of 2 for \\d+\\.\\d s;"
                                        + " no worker has finished a step of this attempt"));
        facts.completed(7);
        facts.doing("adding up gradients with the others");
        assertThat(facts.situation())
                .hasValueSatisfying(text -> assertThat(text)
                        .matches("this worker is in step 8, adding up gradients with the others for \\d+\\.\\d s;"
                                + " all workers finished step 7 \\d+\\.\\d s ago"));
    }

    @Test
    void saysWhatIsLost() {
        assertThat(facts.lost()).isEmpty();
        facts.resumed(0);
        facts.completed(1);
        assertThat(facts.lost()).hasValueSatisfying(text -> assertThat(text).contains("last completed step is 1"));
        facts.saved(List.of(checkpoint(1)), Optional.empty());
        assertThat(facts.lost()).contains("step 1 is saved, no completed step is lost");
        facts.completed(2);
        facts.completed(3);
        assertThat(facts.lost()).contains("steps 2 to 3 will be done again");
    }

    @Test
    void theNewestWarningsComeFirstAndEachOnce() {
        for (int i = 0; i < 30; i++) {
            facts.warn("line " + i);
        }
        facts.warn("line 25");
        assertThat(facts.warnings())
                .hasSize(10)
                .startsWith("line 25", "line 29")
                .endsWith("line 20");
    }
}
