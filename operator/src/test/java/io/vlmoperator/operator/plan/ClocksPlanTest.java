package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.waiting;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.policy.Reason;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Deadlines, silence and the time to live. */
class ClocksPlanTest extends PlanCase {
    @Test
    void silenceAfterTheFirstReportIsAHang() {
        live();
        assertThat(world.last.again()).hasValue(world.now.plusSeconds(60));
        world.after(59);
        assertThat(world.pass().lastAttempt().orElseThrow().endedAt()).isNull();
        world.after(1);
        var status = world.pass();
        assertThat(world.last.actions()).contains(new Action.StopAttempt(1));
        assertThat(status.lastAttempt().orElseThrow().reason()).isEqualTo("ProgressSilent");
        assertThat(status.restarts().infrastructure()).isEqualTo(1);
        world.pods.clear();
        world.after(10).pass();
        assertThat(world.started()).containsExactly(2);
        world.after(100);
        assertThat(world.pass().lastAttempt().orElseThrow().endedAt())
                .as("the clock begins anew: the old attempt's report must not count")
                .isNull();
    }

    @Test
    void whatAnotherReplicaWasToldIsNoSilenceAndItsCheckpointCounts() {
        live().reports(report("u-1", 1, 9, 90, checkpoint(50)));
        var own = world.report;
        world.after(50).reports(report("u-1", 1, 10, 100), checkpoint(80));
        world.report = own;
        world.after(50);
        var status = world.pass();
        assertPhase(status, Phase.Running, Reason.Running);
        assertThat(status.latestStep()).isEqualTo(80);
    }

    @Test
    void theTimeWithoutAnOperatorIsNoSilence() {
        live().after(3600);
        world.operatorStart = world.now;
        world.report = Optional.empty();
        assertThat(world.pass().lastAttempt().orElseThrow().endedAt()).isNull();
        world.after(61);
        assertThat(world.pass().lastAttempt().orElseThrow().reason()).isEqualTo("ProgressSilent");
    }

    @Test
    void whatKeepsPodsFromStartingIsShownAndEndsTheAttemptInTime() {
        world.pass();
        world.pods.add(waiting(1, 0, "Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu"));
        var status = world.after(1).pass();
        assertPhase(status, Phase.Starting, Reason.Unschedulable);
        assertThat(status.condition("Progressing").orElseThrow().message()).contains("Insufficient nvidia.com/gpu");
        world.pods.clear();
        world.pods.add(waiting(1, 0, "ImagePullBackOff", "Back-off pulling image"));
        assertPhase(world.pass(), Phase.Starting, Reason.ImagePullFailed);
        status = world.after(600).pass();
        assertThat(status.lastAttempt().orElseThrow().reason()).isEqualTo("StartupDeadlineExceeded");
        assertThat(status.lastAttempt().orElseThrow().message()).contains("ImagePullFailed");
        assertThat(world.last.actions()).contains(new Action.StopAttempt(1));
    }

    @Test
    void timeInAQueueIsNotStartupTime() {
        world.pass();
        world.jobs.put(1, io.vlmoperator.operator.Fixtures.job(1, State.Suspended, world.now));
        var status = world.after(100_000 - 20_000).pass();
        assertPhaseIs(status, Phase.Queued);
        assertThat(status.lastAttempt().orElseThrow().endedAt()).isNull();
    }

    @Test
    void theActiveDeadlineEndsEverything() {
        live().after(86_400).reports(report("u-1", 1, 9, 9));
        var status = world.pass();
        assertPhase(status, Phase.Failed, Reason.ActiveDeadlineExceeded);
        assertThat(world.last.actions()).contains(new Action.StopAttempt(1));
        assertThat(world.pass()).isEqualTo(status);
    }

    @Test
    void afterTheActiveDeadlineARaisedOneLetsItGoOnAndAnotherEditSaysWhatIsMissing() {
        live().after(86_400);
        assertPhase(world.pass(), Phase.Failed, Reason.ActiveDeadlineExceeded);
        assertThat(world.jobs).as("the deadline deleted the Job").isEmpty();
        var finished = world.subject.status().finishedAt();
        world.frozenDigest = Optional.of("digest");
        world.after(100).edit("spec:", "spec:\n  ttlSecondsAfterFinished: 100000", PRETRAIN);
        assertPhase(world.pass(), Phase.Failed, Reason.ActiveDeadlineExceeded);
        world.edit("nodes: 2", "nodes: 4", PRETRAIN);
        world.digest = "more nodes";
        assertPhase(world.pass(), Phase.Failed, Reason.ActiveDeadlineExceeded);
        assertThat(world.subject.status().condition("Failed").orElseThrow().message())
                .contains("failure.activeDeadlineSeconds", "raise it");
        assertThat(world.subject.status().finishedAt()).isEqualTo(finished);
        assertThat(world.started()).isEmpty();
        world.edit("activeDeadlineSeconds: 86400", "activeDeadlineSeconds: 200000", PRETRAIN);
        world.digest = "more time";
        assertPhase(world.pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(2);
        assertThat(world.subject.status().finishedAt()).isEmpty();
        assertPhase(world.after(60).pass(), Phase.Starting, Reason.Starting);
    }

    @Test
    void afterTheStartupDeadlineAnEditLetsItGoOn() {
        world.edit("maxInfrastructureRestarts: 4", "maxInfrastructureRestarts: 0", PRETRAIN);
        world.pass();
        world.runs(1).after(10_000);
        assertPhase(world.pass(), Phase.Failed, Reason.RestartBudgetExceeded);
        assertThat(world.jobs).isEmpty();
        world.pods.clear();
        world.frozenDigest = Optional.of("digest");
        assertPhase(world.pass(), Phase.Failed, Reason.RestartBudgetExceeded);
        world.edit("maxInfrastructureRestarts: 4", "maxInfrastructureRestarts: 1", PRETRAIN);
        world.digest = "other";
        assertPhase(world.pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(2);
    }

    @Test
    void timeToLiveDeletesAFinishedResource() {
        live().edit("spec:", "spec:\n  ttlSecondsAfterFinished: 300", PRETRAIN);
        world.after(5).ends(1, State.Complete, ended(1, 0, 0, "Completed", 9, null));
        world.pass();
        world.pass();
        assertThat(world.last.again())
                .hasValue(world.subject.status().finishedAt().orElseThrow().plusSeconds(300));
        world.after(300).pass();
        assertThat(world.last.actions()).containsExactly(new Action.Expire());
    }
}
