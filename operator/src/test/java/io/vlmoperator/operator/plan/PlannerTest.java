package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.EVAL;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.evicted;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.running;
import static io.vlmoperator.operator.Fixtures.waiting;
import static io.vlmoperator.operator.Fixtures.word;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.AttemptJob.State;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PlannerTest {
    private final World world = new World(PRETRAIN);

    private static void assertPhase(RunStatus status, Phase phase, Reason reason) {
        var type = switch (phase) {
            case Pending -> "Accepted";
            case Queued -> "Queued";
            case Suspended -> "Suspended";
            case Complete -> "Complete";
            case Failed -> "Failed";
            case Starting, Running, Restarting -> "Running";
        };
        assertThat(status.phase()).as(status.toString()).hasValue(phase);
        assertThat(status.condition(type).orElseThrow().reason()).isEqualTo(reason.name());
    }

    private World live() {
        world.pass();
        world.after(5).runs(1).reports(report("u-1", 1, 1, 1));
        world.pass();
        return world;
    }

    @Test
    void aWarningOfTheRunStandsInTheConditionWhoeverHeardOfIt() {
        live().reports(warned(2, "step 7 was skipped"));
        assertWarning(world.pass(), "step 7 was skipped");
        // The operator starts anew: it has heard nothing yet, but the status has.
        var s = world.pass();
        world.report = Optional.empty();
        world.status(new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                Optional.of(new io.vlmoperator.api.status.Progress(
                        1,
                        7L,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        true,
                        1L,
                        "step 7 was skipped",
                        world.now.toString(),
                        null)),
                s.checkpoints(),
                s.results(),
                s.attempts(),
                s.restarts(),
                s.export(),
                s.dataset(),
                s.source(),
                s.conditions()));
        assertWarning(world.pass(), "step 7 was skipped");
        world.reports(report("u-1", 1, 3, 8));
        assertThat(world.pass().condition("Progressing").orElseThrow().reason()).isEqualTo("Reporting");
    }

    private static void assertWarning(RunStatus status, String message) {
        var progressing = status.condition("Progressing").orElseThrow();
        assertThat(progressing.reason()).isEqualTo("TrainingWarning");
        assertThat(progressing.message()).isEqualTo(message);
        assertThat(progressing.status()).isEqualTo("True");
    }

    private static ProgressReport warned(long sequence, String... lines) {
        var r = report("u-1", 1, sequence, 7);
        return new ProgressReport(
                r.uid(),
                r.attempt(),
                r.sequence(),
                r.step(),
                r.steps(),
                null,
                null,
                r.tokens(),
                null,
                null,
                r.learningRate(),
                null,
                null,
                null,
                null,
                true,
                0L,
                List.of(),
                null,
                null,
                List.of(),
                List.of(lines),
                1L);
    }

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
        assertThat(world.pass().lastAttempt().orElseThrow().reason()).isEqualTo("OOMKilled");
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

    private static void assertPhaseIs(RunStatus status, Phase phase) {
        assertThat(status.phase()).hasValue(phase);
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

    static BenchmarkResult result(String name, long step, double value) {
        return new BenchmarkResult(
                name,
                "test",
                "Strict",
                "accuracy",
                value,
                0.01,
                0.25,
                100L,
                1L,
                0L,
                step,
                "sha256:c",
                "sha256:b",
                "sha256:p",
                16,
                10.0,
                null,
                List.of());
    }
}
