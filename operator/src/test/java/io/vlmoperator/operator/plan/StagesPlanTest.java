package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.STAGED;
import static io.vlmoperator.operator.Fixtures.ended;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.Fixtures;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.Reason;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Datasets whose stages have Jobs of their own: one after the other, and what happens when one of them fails. */
class StagesPlanTest {
    /** Without a queue. */
    private static final String PLAIN = STAGED.replace("    queue: {kind: Kueue, name: research}\n", "");

    private final World world = new World(PLAIN);
    private final List<String> jobs = new ArrayList<>();

    private static WorkerPod well(int attempt, int index) {
        return ended(attempt, index, 0, "Completed", 1, Fixtures.word("Completed", "", 0));
    }

    private RunStatus pass(long seconds) {
        var status = world.after(seconds).pass();
        for (Action action : world.last.actions()) {
            if (action instanceof Action.StartAttempt start) {
                jobs.add(words(start.job()));
            }
        }
        return status;
    }

    private static String words(FrozenJob job) {
        return job.attempt() + " " + job.stage() + " " + job.nodes() + "x" + job.processesPerNode();
    }

    /** The pods of an attempt end well, and what follows is decided. */
    private RunStatus completes(int attempt) {
        var left = new WorkerPod[world.jobs.get(attempt).nodes()];
        for (int i = 0; i < left.length; i++) {
            left[i] = well(attempt, i);
        }
        world.after(30).ends(attempt, State.Complete, left);
        return pass(0);
    }

    private RunStatus fails(int attempt, int code, String reason) {
        world.after(30)
                .ends(attempt, State.Failed, ended(attempt, 0, code, "Error", 1, Fixtures.word(reason, "broke", 0)));
        return pass(0);
    }

    @Test
    void eachStageIsAJobOfItsOwnAndTheLastOneCompletesTheDataset() {
        var status = pass(0);
        assertThat(status.condition("Running").orElseThrow().message())
                .isEqualTo("Attempt 1 (index, stage 1 of 3) is starting");
        world.runs(1);
        status = pass(5);
        assertThat(status.phase()).hasValue(Phase.Running);
        assertThat(status.condition("Running").orElseThrow().message())
                .isEqualTo("Attempt 1 (index, stage 1 of 3) runs");
        status = completes(1);
        assertThat(status.phase()).hasValue(Phase.Starting);
        assertThat(status.finished()).isFalse();
        completes(2);
        status = completes(3);
        assertThat(jobs).containsExactly("1 Index 8x1", "2 Score 2x4", "3 Pack 1x1");
        PlanCase.assertPhase(status, Phase.Complete, Reason.Completed);
        assertThat(status.attempts())
                .extracting(Attempt::stage, Attempt::world, Attempt::reason)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple("index", 8, "Completed"),
                        org.assertj.core.groups.Tuple.tuple("score", 8, "Completed"),
                        org.assertj.core.groups.Tuple.tuple("pack", 1, "Completed"));
        assertThat(status.restarts()).isEqualTo(RunStatus.NO_RESTARTS);
        pass(5);
        assertThat(jobs).as("finished stays finished").hasSize(3);
    }

    @Test
    void aStageThatFailedIsTriedAgainAndNotTheOnesBeforeIt() {
        pass(0);
        completes(1);
        fails(2, 70, "InternalError");
        world.pods.clear();
        pass(400);
        assertThat(jobs).containsExactly("1 Index 8x1", "2 Score 2x4", "3 Score 2x4");
        var status = completes(3);
        assertThat(status.restarts().user())
                .as("what a stage has done refills the budget")
                .isZero();
        assertThat(status.restarts().total()).isEqualTo(1);
        fails(4, 70, "InternalError");
        world.pods.clear();
        pass(400);
        assertThat(jobs).endsWith("4 Pack 1x1", "5 Pack 1x1");
        status = fails(5, 70, "InternalError");
        PlanCase.assertPhase(status, Phase.Failed, Reason.RestartBudgetExceeded);
        assertThat(status.restarts().total()).isEqualTo(3);
    }

    @Test
    void suspensionEndsAStageAndItBeginsAgain() {
        pass(0);
        completes(1);
        world.runs(2);
        pass(5);
        world.edit("output:", "suspend: true\n  output:", PLAIN);
        var status = pass(5);
        assertThat(world.jobs).doesNotContainKey(2);
        PlanCase.assertPhase(status, Phase.Suspended, Reason.Suspended);
        world.pods.clear();
        world.edit("none", "none", PLAIN);
        pass(400);
        assertThat(jobs).containsExactly("1 Index 8x1", "2 Score 2x4", "3 Score 2x4");
    }

    @Test
    void suspendedBetweenStagesItGoesOnWithTheNext() {
        pass(0);
        world.edit("output:", "suspend: true\n  output:", PLAIN);
        PlanCase.assertPhase(completes(1), Phase.Suspended, Reason.Suspended);
        world.pods.clear();
        world.edit("none", "none", PLAIN);
        pass(400);
        assertThat(jobs).containsExactly("1 Index 8x1", "2 Score 2x4");
    }

    @Test
    void eachStageWaitsInTheQueue() {
        var queued = new World(STAGED);
        queued.pass();
        var status = queued.pass();
        assertThat(status.phase()).hasValue(Phase.Queued);
        assertThat(status.condition("Queued").orElseThrow().message())
                .isEqualTo("Waiting for the queue to admit attempt 1 (index, stage 1 of 3)");
        queued.queue(1, State.Active, 8).runs(1).after(5).pass();
        queued.after(30).ends(1, State.Complete, well(1, 0));
        queued.pass();
        assertThat(queued.jobs.get(2).state()).isEqualTo(State.Suspended);
        assertThat(queued.jobs.get(2).stage()).hasValue(DatasetStage.Score);
        assertThat(queued.subject.status().lastAttempt().orElseThrow().world()).isNull();
        queued.queue(2, State.Active, 2).runs(2).after(5).pass();
        assertThat(queued.subject.status().lastAttempt().orElseThrow().world()).isEqualTo(8);
    }

    @Test
    void aJobThatTheStatusDoesNotKnowKeepsItsStage() {
        pass(0);
        completes(1);
        var without = world.subject.status();
        world.status(new RunStatus(
                without.phase(),
                without.observedGeneration(),
                without.startedAt(),
                without.finishedAt(),
                without.progress(),
                without.checkpoints(),
                without.results(),
                without.attempts().subList(0, 1), // the operator was stopped before it could write
                without.restarts(),
                without.export(),
                without.dataset(),
                without.source(),
                without.conditions()));
        world.runs(2);
        assertThat(pass(5).lastAttempt().orElseThrow().stage()).isEqualTo("score");
        completes(2);
        assertThat(jobs).containsExactly("1 Index 8x1", "2 Score 2x4", "3 Pack 1x1");
    }

    @Test
    void stagesThatAreTakenAwayOrGivenInBetweenLeaveNothingOut() {
        pass(0);
        fails(1, 137, "Killed");
        world.pods.clear();
        world.edit(PLAIN.substring(PLAIN.indexOf("    stages:"), PLAIN.length()), "", PLAIN);
        pass(400);
        assertThat(jobs).endsWith("2 null 8x1");
        fails(2, 137, "Killed");
        world.pods.clear();
        world.edit("none", "none", PLAIN);
        pass(400);
        assertThat(jobs).endsWith("3 Index 8x1");
    }

    @Test
    void onlyStagesThatHaveWorkAreStages() {
        assertThat(Fixtures.subject(DATASET).work().stages()).isEmpty();
        String plain = DATASET.stripTrailing() + "\n  workers: {stages: {}}\n";
        assertThat(Fixtures.subject(plain).work().stages()).containsExactly(DatasetStage.Index, DatasetStage.Pack);
        String urls = plain.replace(
                "webDataset: {location: \"pvc://tars/emoji/*.tar\"}", "urlList: {location: \"pvc://l/u.csv\"}");
        assertThat(Fixtures.subject(urls).work().stages())
                .containsExactly(DatasetStage.Fetch, DatasetStage.Index, DatasetStage.Pack);
    }
}
