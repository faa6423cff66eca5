package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.running;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Scores, counts and last words. */
class ResultsPlanTest extends PlanCase {
    @Test
    void aJobsEndWaitsForTheLastWordOfItsPods() {
        live().after(5).ends(1, State.Complete, running(1, 0), running(1, 1));
        assertThat(world.pass().phase()).hasValue(Phase.Running);
        assertThat(world.last.again()).hasValue(world.now.plusSeconds(1));
        assertPhaseIs(world.after(11).pass(), Phase.Complete);
    }

    @Test
    void everyNthCheckpointIsEvaluatedOneAtATime() {
        var yaml = PRETRAIN.replace(
                "spec:",
                "spec:\n  evaluate: {everyCheckpoints: 2, benchmarks: [{name: names, location: \"pvc://data/n.tsv\"}]}");
        var w = new World(yaml);
        w.pass();
        w.runs(1).reports(report("u-1", 1, 1, 100, checkpoint(100)));
        w.pass();
        assertThat(w.evaluations).isEmpty();
        w.reports(report("u-1", 1, 2, 200, checkpoint(200), checkpoint(100)));
        w.pass();
        assertThat(w.evaluations)
                .singleElement()
                .satisfies(e -> assertThat(e.name()).isEqualTo("emoji-step-200"));
        w.reports(report("u-1", 1, 3, 400, checkpoint(400)));
        w.pass();
        assertThat(w.evaluations).as("one at a time").hasSize(1);
        w.evaluations.set(0, new Observed.Evaluation("emoji-step-200", 200, true, List.of(result("names", 200, 0.5))));
        assertThat(w.pass().results())
                .singleElement()
                .satisfies(r -> assertThat(r.value()).isEqualTo(0.5));
        assertThat(w.evaluations).extracting(Observed.Evaluation::step).containsExactly(200L, 400L);
    }

    @Test
    void aDatasetTakesItsNumbersFromTheLastWord() {
        var w = new World(DATASET);
        w.pass();
        var summary = new DatasetSummary(
                10L,
                10L,
                100L,
                3L,
                0.9,
                1000L,
                "sha256:d",
                "sha256:t",
                List.of(),
                List.of(new DatasetStatus.Rejected("TruncatedTar", 1L)));
        w.after(5)
                .ends(
                        1,
                        State.Complete,
                        ended(
                                1,
                                0,
                                0,
                                "Completed",
                                9,
                                new TerminationMessage(
                                        "Completed", "", null, null, null, null, 0, summary, List.of(), null)));
        var status = w.pass();
        assertThat(status.dataset()).hasValue(summary);
        assertThat(status.condition("Complete").orElseThrow().message())
                .as("what is missing stands where people look")
                .contains("TruncatedTar 1", "rejects.jsonl");
    }

    @Test
    void anEvalJobGathersItsScores() {
        var w = new World(EVAL);
        w.references = new Resolution.Ready(
                List.of(),
                Optional.of(new io.vlmoperator.api.run.FrozenJob.ResolvedCheckpoint(
                        "pvc://runs/sft/checkpoints/s", 200L, "sha256:c")),
                List.of());
        assertThat(w.pass().source()).hasValue("SFTJob/emoji@200");
        w.after(5)
                .ends(
                        1,
                        State.Complete,
                        ended(
                                1,
                                0,
                                0,
                                "Completed",
                                9,
                                new TerminationMessage(
                                        "Completed",
                                        "",
                                        null,
                                        null,
                                        null,
                                        null,
                                        0,
                                        null,
                                        List.of(result("names", 200, 0.64)),
                                        null)));
        assertThat(w.pass().results()).hasSize(1);
    }
}
