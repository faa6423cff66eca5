package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.word;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import org.junit.jupiter.api.Test;

/** How a resource goes from nothing to complete, and that deciding twice changes nothing. */
class PlannerTest extends PlanCase {
    @Test
    void startsRunsReportsAndCompletes() {
        assertPhase(world.pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(1);
        world.after(5).runs(1);
        var status = world.pass();
        assertPhase(status, Phase.Running, Reason.Running);
        assertThat(status.isTrue("Progressing")).isFalse();
        world.after(5).reports(report("u-1", 1, 1, 3));
        status = world.pass();
        assertThat(status.isTrue("Progressing")).isTrue();
        assertThat(status.lastAttempt().orElseThrow().resumedFrom()).isZero();
        world.after(100)
                .ends(
                        1,
                        State.Complete,
                        ended(
                                1,
                                0,
                                0,
                                "Completed",
                                100,
                                new TerminationMessage(
                                        "Completed",
                                        "",
                                        1000L,
                                        0L,
                                        checkpoint(1000),
                                        null,
                                        0,
                                        null,
                                        List.of(),
                                        new Export("pvc://runs/emoji/exports/step-000001000", "Llava", "sha256:e"))),
                        ended(1, 1, 0, "Completed", 100, null));
        status = world.pass();
        assertPhase(status, Phase.Complete, Reason.Completed);
        assertThat(status.isTrue("Ready")).isTrue();
        assertThat(status.finishedAt()).isPresent();
        assertThat(status.latestStep()).isEqualTo(1000);
        assertThat(status.export().orElseThrow().format()).isEqualTo("Llava");
        assertThat(status.lastAttempt().orElseThrow())
                .satisfies(a -> assertThat(a.lastStep()).isEqualTo(1000))
                .satisfies(a -> assertThat(a.failureClass()).isNull());
    }

    @Test
    void theSameInputTwiceGivesNoNewActionAndNoNewStatus() {
        var stages = List.<Runnable>of(
                () -> {},
                () -> world.after(5).runs(1),
                () -> world.reports(report("u-1", 1, 1, 5, checkpoint(5))),
                () -> world.after(9).ends(1, State.Failed, ended(1, 0, 70, "Error", 9, word("InternalError", "x", 5))),
                () -> world.after(60),
                () -> world.after(5).runs(2).reports(report("u-1", 2, 1, 6)),
                () -> world.after(9).ends(2, State.Complete, ended(2, 0, 0, "Completed", 9, null)));
        for (int i = 0; i < stages.size(); i++) {
            stages.get(i).run();
            world.pass();
            var status = world.pass();
            assertThat(world.last.actions()).as("stage " + i).isEmpty();
            assertThat(world.pass()).as("stage " + i).isEqualTo(status);
        }
        assertPhase(world.subject.status(), Phase.Complete, Reason.Completed);
    }

    @Test
    void aStaleStatusStartsTheSameAttemptAgainAndNoOther() {
        var before = world.subject.status();
        world.pass();
        world.jobs.clear();
        world.status(before);
        world.pass();
        assertThat(world.started()).containsExactly(1);
    }

    @Test
    void anAttemptWhoseStatusWasNeverWrittenIsFoundByItsJob() {
        world.pass();
        world.status(RunStatus.EMPTY);
        world.after(3);
        var status = world.pass();
        assertThat(world.started()).isEmpty();
        assertThat(status.attempts())
                .singleElement()
                .satisfies(a -> assertThat(a.number()).isEqualTo(1));
        assertThat(status.startedAt()).isPresent();
    }

    @Test
    void waitsForReferencesAndSaysSo() {
        world.references = new Resolution.Blocked(Reason.ReferenceNotReady, "Waiting for Dataset captions", false);
        var status = world.pass();
        assertPhase(status, Phase.Pending, Reason.ReferenceNotReady);
        assertThat(status.isTrue("Reconciling")).isTrue();
        assertThat(status.isTrue("Stalled")).isFalse();
        assertThat(world.last.actions()).isEmpty();
        world.references = new Resolution.Blocked(Reason.PlanMismatch, "other sizes", true);
        status = world.pass();
        assertThat(status.isTrue("Stalled")).isTrue();
        assertThat(status.isTrue("Ready")).isFalse();
    }

    @Test
    void aNameThatStaysMissingCallsAPersonAndIsStillWaitedFor() {
        var found = world.references;
        world.references = new Resolution.Blocked(Reason.ReferenceNotFound, "Dataset captoins does not exist", false);
        assertThat(world.pass().isTrue("Stalled")).isFalse();
        assertThat(world.last.again()).hasValue(world.now.plusSeconds(300));
        var status = world.after(300).pass();
        assertThat(status.isTrue("Stalled")).isTrue();
        assertThat(status.isTrue("Reconciling")).isFalse();
        assertPhase(status, Phase.Pending, Reason.ReferenceNotFound);
        assertThat(world.pass()).as("nothing new").isEqualTo(status);
        world.references = found;
        assertPhase(world.after(5).pass(), Phase.Starting, Reason.Starting);
        assertThat(world.subject.status().isTrue("Stalled")).isFalse();
    }
}
