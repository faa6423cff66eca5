package io.vlmoperator.operator.policy;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.job;
import static io.vlmoperator.operator.Fixtures.running;
import static io.vlmoperator.operator.Fixtures.subject;
import static io.vlmoperator.operator.Fixtures.waiting;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.model.WorkerPod;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ElasticTest {
    private static Work work(int nodes, int least) {
        return subject(PRETRAIN.replace("nodes: 2", "nodes: " + nodes + ", minNodes: " + least))
                .work();
    }

    private static Optional<Attempt> ended(Reason reason, Integer scheduled) {
        var attempt = Attempt.begun(1, T0.toString(), 4)
                .ended(T0.toString(), null, reason.name(), "why", null, null, null, null);
        return Optional.of(scheduled == null ? attempt : attempt.withScheduled(scheduled));
    }

    @Test
    void onlyWantOfNodesMakesTheNextAttemptSmaller() {
        var workers = work(4, 2).workers();
        assertThat(Elastic.nodes(workers, Optional.empty())).isEqualTo(4);
        assertThat(Elastic.nodes(workers, ended(Reason.NodesMissing, 3))).isEqualTo(3);
        assertThat(Elastic.nodes(workers, ended(Reason.NodeLost, null))).isEqualTo(4);
        assertThat(Elastic.nodes(workers, ended(Reason.StartupDeadlineExceeded, null)))
                .isEqualTo(4);
    }

    @Test
    void anEditedSpecKeepsTheBounds() {
        assertThat(Elastic.nodes(work(2, 1).workers(), ended(Reason.NodesMissing, 3)))
                .isEqualTo(2);
        assertThat(Elastic.nodes(work(8, 4).workers(), ended(Reason.NodesMissing, 3)))
                .isEqualTo(4);
    }

    @ParameterizedTest
    @CsvSource({"0,", "1,", "2, 2", "3, 3", "4,"})
    void aShortageIsNeitherAllNorTooFew(int scheduled, Integer next) {
        var pods = new ArrayList<WorkerPod>();
        for (int i = 0; i < 4; i++) {
            pods.add(i < scheduled ? running(1, i) : waiting(1, i, "Unschedulable", "0/3 nodes"));
        }
        var shortage = Elastic.shortage(work(4, 2), fourPods(), pods);
        assertThat(shortage.map(Elastic.Shortage::scheduled)).isEqualTo(Optional.ofNullable(next));
        shortage.ifPresent(s -> assertThat(s.message())
                .contains(scheduled + " of 4", "minNodes is 2", "failure.startupDeadlineSeconds"));
    }

    @Test
    void podsThatWereNeverMadeAreMissingToo() {
        assertThat(Elastic.shortage(work(4, 2), fourPods(), List.of(running(1, 0), running(1, 2))))
                .isPresent();
    }

    @Test
    void onlyAQueueAdmitsPartly() {
        assertThat(Elastic.partly(work(4, 2).workers(), 4)).isFalse();
        var queued = subject(PRETRAIN.replace("nodes: 2", "nodes: 4, minNodes: 2, queue: {kind: Kueue, name: q}"))
                .work()
                .workers();
        assertThat(Elastic.partly(queued, 4)).isTrue();
        assertThat(Elastic.partly(queued, 2)).as("nothing to give up").isFalse();
    }

    private static AttemptJob fourPods() {
        var two = job(1, AttemptJob.State.Active, T0);
        return new AttemptJob(
                1,
                two.name(),
                two.state(),
                "",
                T0,
                Optional.empty(),
                Optional.empty(),
                4,
                false,
                Optional.empty(),
                "digest");
    }
}
