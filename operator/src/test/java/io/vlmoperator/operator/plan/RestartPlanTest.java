package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.evicted;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.running;
import static io.vlmoperator.operator.Fixtures.word;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What follows failures, suspensions and edits. */
class RestartPlanTest extends PlanCase {
    @Test
    void aFailedAttemptIsFollowedByTheNextFromTheNewestCheckpoint() {
        live().after(50).reports(report("u-1", 1, 2, 130, checkpoint(100)));
        world.pass();
        world.after(10)
                .ends(
                        1,
                        State.Failed,
                        ended(1, 0, 137, "Error", 60, null),
                        ended(1, 1, 162, "Error", 61, word("PeerLost", "rank 0", 131)));
        var status = world.pass();
        assertPhase(status, Phase.Restarting, Reason.BackingOff);
        assertThat(status.attempts().getLast()).satisfies(a -> {
            assertThat(a.reason()).isEqualTo("Killed");
            assertThat(a.failureClass()).isEqualTo("Infrastructure");
            assertThat(a.exitCode()).isEqualTo(137);
            assertThat(a.node()).isEqualTo("node-0");
            assertThat(a.lastStep()).isEqualTo(130);
        });
        assertThat(status.restarts().infrastructure()).isEqualTo(1);
        assertThat(status.latestStep()).isEqualTo(100);
        assertThat(world.last.again()).hasValueSatisfying(at -> assertThat(at).isAfter(world.now));
        world.now = world.last.again().orElseThrow();
        status = world.pass();
        assertThat(world.started()).containsExactly(2);
        assertPhase(status, Phase.Starting, Reason.Starting);
        assertThat(status.attempts()).hasSize(2);
    }

    @Test
    void aNewCheckpointRefillsTheBudgetAndACrashLoopEnds() {
        live();
        for (int attempt = 1; attempt <= 5; attempt++) {
            world.after(10)
                    .runs(attempt)
                    .reports(report("u-1", attempt, 1, 100L * attempt, checkpoint(100L * attempt)));
            world.pass();
            world.after(10).ends(attempt, State.Failed, ended(attempt, 0, 70, "Error", 1, null));
            assertThat(world.pass().restarts().user()).as("attempt " + attempt).isEqualTo(1);
            world.after(400).pass();
            assertThat(world.started()).containsExactly(attempt + 1);
        }
        for (int attempt = 6; attempt <= 7; attempt++) {
            world.after(10).ends(attempt, State.Failed, ended(attempt, 0, 70, "Error", 1, null));
            world.pass();
            world.after(400).pass();
        }
        var status = world.subject.status();
        assertPhase(status, Phase.Failed, Reason.RestartBudgetExceeded);
        assertThat(status.isTrue("Stalled")).isTrue();
        assertThat(status.attempts()).hasSize(7);
        assertThat(status.restarts().total()).isEqualTo(7);
    }

    @Test
    void configurationErrorsFailAtOnceWithTheTrainersOwnWords() {
        live().after(5)
                .ends(
                        1,
                        State.Failed,
                        ended(
                                1,
                                0,
                                64,
                                "Error",
                                9,
                                word(
                                        "InvalidConfiguration",
                                        "vocabSize 2048 is smaller than the tokenizer's 2060",
                                        0)));
        var status = world.pass();
        assertPhase(status, Phase.Failed, Reason.InvalidConfiguration);
        assertThat(status.condition("Failed").orElseThrow().message()).contains("vocabSize 2048");
        assertThat(world.started()).isEmpty();
    }

    @Test
    void aPeersCauseIsAwaitedWhileTheOthersAreStillEnding() {
        live().after(5).ends(1, State.Failing, ended(1, 0, 162, "Error", 9, null), running(1, 1));
        assertThat(world.pass().lastAttempt().orElseThrow().endedAt()).isNull();
        world.after(2)
                .ends(1, State.Failed, ended(1, 0, 162, "Error", 9, null), ended(1, 1, 137, "OOMKilled", 8, null));
        var killed = world.pass();
        assertThat(killed.lastAttempt().orElseThrow().reason()).isEqualTo("OOMKilled");
        assertThat(killed.lastAttempt().orElseThrow().message()).contains("raise workers.resources.limits.memory");
        assertThat(world.subject.status().restarts().user()).isEqualTo(1);
    }

    @Test
    void theNextAttemptWaitsUntilTheOldWorkersAreGoneButNotForever() {
        live().after(5).ends(1, State.Failing, ended(1, 0, 70, "Error", 9, null), running(1, 1));
        world.pass();
        world.after(20);
        assertPhase(world.pass(), Phase.Restarting, Reason.WaitingForOldWorkers);
        world.after(120).pass();
        assertThat(world.started())
                .as("a silent node must not hold the run: storage is fenced")
                .containsExactly(2);
    }

    @Test
    void evictionAndVanishedJobs() {
        live().after(5)
                .ends(1, State.Failed, evicted(1, 0, "EvictionByEvictionAPI"), ended(1, 1, 143, "Error", 9, null));
        assertThat(world.pass().lastAttempt().orElseThrow().reason()).isEqualTo("Evicted");
        world.after(10).pass();
        world.jobs.remove(2);
        assertThat(world.after(1).pass().lastAttempt().orElseThrow().reason()).isEqualTo("WorkersVanished");
    }

    @Test
    void suspensionIsNoRestartAndResumesWithTheNextAttempt() {
        live().edit("spec:", "spec:\n  suspend: true", PRETRAIN);
        var status = world.pass();
        assertThat(world.last.actions()).containsExactly(new Action.StopAttempt(1));
        assertPhase(status, Phase.Suspended, Reason.Suspended);
        assertThat(status.restarts()).isEqualTo(RunStatus.NO_RESTARTS);
        assertThat(status.lastAttempt().orElseThrow().failureClass()).isNull();
        world.pods.clear();
        world.after(1000).pass();
        assertThat(world.last.actions()).isEmpty();
        world.edit("", "", PRETRAIN);
        assertPhase(world.pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(2);
    }

    @Test
    void suspendedBeforeItEverStarted() {
        world.edit("spec:", "spec:\n  suspend: true", PRETRAIN);
        assertPhase(world.pass(), Phase.Suspended, Reason.Suspended);
        assertThat(world.jobs).isEmpty();
    }

    @Test
    void finishedStaysFinishedWhateverHappensToTheChildren() {
        live().after(5).ends(1, State.Complete, ended(1, 0, 0, "Completed", 9, null));
        var status = world.pass();
        world.jobs.clear();
        world.pods.clear();
        world.report = Optional.empty();
        world.references = new Resolution.Blocked(Reason.ReferenceNotFound, "gone", false);
        assertThat(world.after(1000).pass()).isEqualTo(status);
        assertThat(world.last.actions()).isEmpty();
        world.edit("maxRestarts: 2", "maxRestarts: 9", PRETRAIN);
        world.digest = "other";
        assertPhase(world.pass(), Phase.Complete, Reason.Completed);
        assertThat(world.last.actions()).isEmpty();
    }

    @Test
    void aFailedResourceTriesAgainOnlyWhenWorkersOrBudgetsWereEdited() {
        live().after(5).ends(1, State.Failed, ended(1, 0, 67, "Error", 9, word("DoesNotFit", "needs 20 GiB", 0)));
        assertPhase(world.pass(), Phase.Failed, Reason.DoesNotFit);
        world.edit("spec:", "spec:\n  ttlSecondsAfterFinished: 100000", PRETRAIN);
        assertPhase(world.pass(), Phase.Failed, Reason.DoesNotFit);
        world.edit("nodes: 2", "nodes: 4", PRETRAIN);
        world.digest = "other";
        assertPhase(world.pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(2);
        assertThat(world.subject.status().finishedAt()).isEmpty();
    }

    @Test
    void anEditThatCouldNotBeActedOnAtOnceIsNotForgotten() {
        live().after(5).ends(1, State.Failed, ended(1, 0, 67, "Error", 9, word("DoesNotFit", "needs 20 GiB", 0)));
        world.pass();
        world.edit("nodes: 2", "nodes: 4", PRETRAIN);
        world.digest = "other";
        var ready = world.references;
        world.references = new Resolution.Blocked(Reason.RequestFailed, "the server is away", false);
        assertPhase(world.pass(), Phase.Failed, Reason.DoesNotFit);
        assertThat(world.last.again()).isPresent();
        world.references = ready;
        assertPhase(world.after(15).pass(), Phase.Starting, Reason.Starting);
        assertThat(world.started()).containsExactly(2);
    }

    @Test
    void jobsOfOldAttemptsAreRemovedButTheNewestThreeStay() {
        world.pass();
        for (int attempt = 1; attempt <= 4; attempt++) {
            world.after(400).ends(attempt, State.Failed, ended(attempt, 0, 137, "Error", 1, null));
            world.pass();
            world.after(400).pass();
        }
        world.pass();
        assertThat(world.jobs.keySet()).containsExactly(3, 4, 5);
    }

    @Test
    void atMostTenAttemptsStandInTheStatus() {
        world.pass();
        for (int attempt = 1; attempt <= 14; attempt++) {
            world.reports(report("u-1", attempt, 1, attempt * 10L, checkpoint(attempt * 10L)));
            world.after(10).ends(attempt, State.Failed, ended(attempt, 0, 137, "Error", 1, null));
            world.pass();
            world.after(400).pass();
        }
        assertThat(world.subject.status().attempts()).hasSize(10);
        assertThat(world.subject.status().attempts().getLast().number()).isEqualTo(15);
    }
}
