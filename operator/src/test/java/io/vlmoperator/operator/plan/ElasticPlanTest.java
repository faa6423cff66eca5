package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.running;
import static io.vlmoperator.operator.Fixtures.waiting;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Attempts with fewer nodes than were asked for: for want of nodes, and by a queue. */
class ElasticPlanTest {
    private static final String ELASTIC = PRETRAIN.replace("nodes: 2", "nodes: 4, minNodes: 2");
    private static final String QUEUED =
            PRETRAIN.replace("nodes: 2", "nodes: 4, minNodes: 2, queue: {kind: Kueue, name: research}");

    private static void found(World world, int attempt, int nodes, int scheduled) {
        world.pods.clear();
        for (int i = 0; i < nodes; i++) {
            world.pods.add(
                    i < scheduled ? running(attempt, i) : waiting(attempt, i, "Unschedulable", "0/3 nodes available"));
        }
    }

    @Test
    void theNextAttemptHasAsManyNodesAsWereFound() {
        var world = new World(ELASTIC);
        world.pass();
        assertThat(world.jobs.get(1).nodes()).isEqualTo(4);
        found(world, 1, 4, 3);
        world.after(599).pass();
        assertThat(world.jobs).containsOnlyKeys(1);
        var status = world.after(2).pass();
        assertThat(world.jobs).as("its workers are ended first").isEmpty();
        var first = status.attempts().getFirst();
        assertThat(first.reason()).isEqualTo(Reason.NodesMissing.name());
        assertThat(first.scheduled()).isEqualTo(3);
        assertThat(first.world()).isEqualTo(4);
        assertThat(status.restarts().total()).as("costs no budget").isZero();
        world.pods.clear();
        status = world.after(1).pass();
        assertThat(world.jobs.get(2).nodes()).isEqualTo(3);
        assertThat(status.lastAttempt().map(Attempt::world)).hasValue(3);
        assertThat(status.condition("Running").orElseThrow().message()).contains("with 3 of 4 nodes");
    }

    @Test
    void itRunsWithTheNodesItHasAndTheOneAfterItTriesAllAgain() {
        var world = new World(ELASTIC);
        world.pass();
        found(world, 1, 4, 2);
        world.after(700).pass();
        world.pods.clear();
        world.after(1).pass();
        found(world, 2, 2, 2);
        world.after(5).reports(report("u-1", 2, 1, 1));
        var status = world.pass();
        assertThat(status.phase()).hasValue(Phase.Running);
        assertThat(status.condition("Running").orElseThrow().message()).isEqualTo("Attempt 2 runs with 2 of 4 nodes");
        world.after(100).ends(2, State.Failed, ended(2, 0, 137, "Error", 1, null));
        world.pass();
        world.after(400).pass();
        assertThat(world.jobs.get(3).nodes()).as("that is how it grows back").isEqualTo(4);
    }

    @Test
    void tooFewNodesAreAFailedStart() {
        var world = new World(ELASTIC);
        world.pass();
        found(world, 1, 4, 1);
        var status = world.after(700).pass();
        assertThat(status.attempts().getFirst().reason()).isEqualTo(Reason.StartupDeadlineExceeded.name());
        assertThat(status.restarts().infrastructure()).isEqualTo(1);
        world.pods.clear();
        world.after(400).pass();
        assertThat(world.jobs.get(2).nodes()).isEqualTo(4);
    }

    @Test
    void aQueueMayAdmitFewerAndTheWorkersAreTold() {
        var world = new World(QUEUED);
        var status = world.pass();
        assertThat(status.lastAttempt().map(Attempt::world)).isEmpty();
        assertThat(world.pass().phase()).hasValue(Phase.Queued);
        world.queue(1, State.Active, 3);
        status = world.after(60).pass();
        assertThat(world.told).containsEntry(1, 3);
        assertThat(status.lastAttempt().map(Attempt::world)).hasValue(3);
        world.pass();
        assertThat(world.last.actions()).as("told once").isEmpty();
        found(world, 1, 3, 3);
        assertThat(world.pass().phase()).as("three pods are all of them").hasValue(Phase.Running);
    }

    @Test
    void aQueueThatAdmitsAllNeedsNoWords() {
        var world = new World(QUEUED.replace("minNodes: 2, ", ""));
        world.pass();
        world.queue(1, State.Active, 4);
        assertThat(world.pass().lastAttempt().map(Attempt::world)).hasValue(4);
        assertThat(world.told).isEmpty();
    }

    @Test
    void whenTheQueueTakesTheWorkersBackTheNextAttemptWaitsInIt() {
        var world = new World(QUEUED);
        world.pass();
        world.queue(1, State.Active, 3).pass();
        found(world, 1, 3, 3);
        world.reports(report("u-1", 1, 1, 7)).pass();
        world.queue(1, State.Suspended, 4);
        world.pods.clear();
        var status = world.after(60).pass();
        assertThat(status.attempts().getFirst().reason()).isEqualTo(Reason.Requeued.name());
        assertThat(status.restarts().infrastructure()).isZero();
        world.after(60).pass();
        assertThat(world.jobs).containsOnlyKeys(2);
        assertThat(world.jobs.get(2).state()).isEqualTo(State.Suspended);
        assertThat(world.subject.status().attempts().stream()
                        .map(Attempt::number)
                        .toList())
                .isEqualTo(List.of(1, 2));
    }
}
