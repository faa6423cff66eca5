package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.ended;
import static io.vlmoperator.operator.Fixtures.evicted;
import static io.vlmoperator.operator.Fixtures.job;
import static io.vlmoperator.operator.Fixtures.running;
import static io.vlmoperator.operator.Fixtures.word;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.WorkerPod;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ClassifyTest {
    private static Classify.Cause of(WorkerPod... pods) {
        return Classify.of(job(1, AttemptJob.State.Failed, T0), List.of(pods));
    }

    @ParameterizedTest
    @EnumSource(ExitCode.class)
    void everyExitCodeHasItsReasonAndClass(ExitCode code) {
        if (code == ExitCode.Completed) {
            return;
        }
        var cause = of(ended(1, 0, code.code(), "Error", 1, word(code.name(), "line", 7)));
        assertThat(cause.reason().name()).isEqualTo(code.name());
        var expected = code.failureClass() == ExitCode.FailureClass.Peer
                ? ExitCode.FailureClass.Infrastructure // nobody left but peers of the lost one
                : code.failureClass();
        assertThat(cause.reason().failureClass()).isEqualTo(expected);
        assertThat(cause.message()).isEqualTo("line");
        assertThat(cause.exitCode()).hasValue(code.code());
    }

    @ParameterizedTest
    @CsvSource({
        "1,UnknownExit",
        "2,UnknownExit",
        "134,UnknownExit",
        "139,UnknownExit",
        "130,Terminated",
        "255,UnknownExit"
    })
    void codesOutsideTheContract(int code, Reason reason) {
        assertThat(of(ended(1, 0, code, "Error", 1, null)).reason()).isEqualTo(reason);
    }

    @Test
    void peersFollowTheWorkerThatWasLost() {
        var cause = of(
                ended(1, 0, 162, "Error", 5, word("PeerLost", "rank 1 is gone", 40)),
                ended(1, 1, 80, "Error", 6, word("NonFinite", "loss is NaN at step 41", 40)));
        assertThat(cause.reason()).isEqualTo(Reason.NonFinite);
        assertThat(cause.node()).isEqualTo("node-1");
    }

    @Test
    void workersThatTheJobTerminatedAreNoCause() {
        var cause = of(
                ended(1, 0, 143, "Error", 1, null),
                ended(1, 1, 160, "Error", 1, null),
                ended(1, 2, 70, "Error", 9, null));
        assertThat(cause.reason()).isEqualTo(Reason.InternalError);
    }

    @Test
    void theFirstOfSeveralCausesCounts() {
        var cause = of(ended(1, 0, 66, "Error", 9, null), ended(1, 1, 70, "Error", 3, null));
        assertThat(cause.reason()).isEqualTo(Reason.InternalError);
    }

    @Test
    void outOfMemoryIsToldByTheReasonNotTheCode() {
        var killed = of(ended(1, 0, 137, "OOMKilled", 1, null));
        assertThat(killed.reason()).isEqualTo(Reason.OOMKilled);
        assertThat(killed.message())
                .startsWith("Worker 0 (")
                .contains("used more memory than its limit; raise workers.resources.limits.memory");
        assertThat(of(ended(1, 0, 137, "Error", 1, null)).reason()).isEqualTo(Reason.Killed);
    }

    @ParameterizedTest
    @CsvSource({
        "EvictionByEvictionAPI,Evicted",
        "TerminationByKubelet,Evicted",
        "DeletionByTaintManager,NodeLost",
        "PreemptionByScheduler,PreemptedByScheduler"
    })
    void disruptionsWithoutAnExitCode(String disruption, Reason reason) {
        assertThat(of(running(1, 0), evicted(1, 1, disruption)).reason()).isEqualTo(reason);
    }

    @Test
    void withoutPodsTheJobsMessageStillTells() {
        var job = new AttemptJob(
                1,
                "j",
                AttemptJob.State.Failed,
                "Container trainer for pod team/emoji-pretrain-1-0-x failed with exit code 64 matching FailJob rule at index 1",
                T0,
                Optional.of(T0),
                Optional.<Instant>empty(),
                1,
                false,
                Optional.empty(),
                "");
        assertThat(Classify.of(job, List.of()).reason()).isEqualTo(Reason.InvalidConfiguration);
        assertThat(of().reason()).isEqualTo(Reason.WorkersVanished);
    }

    @Test
    void onlyAnOwnFailureIsDecisive() {
        assertThat(Classify.decisive(of(ended(1, 0, 64, "Error", 1, null)))).isTrue();
        assertThat(Classify.decisive(of(ended(1, 0, 162, "Error", 1, null)))).isFalse();
        assertThat(Classify.decisive(of(ended(1, 0, 143, "Error", 1, null)))).isFalse();
    }
}
