package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.status.StatusCodec;
import io.vlmoperator.operator.workload.AttemptModel;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Who may report, and where a report goes. */
class ReportsOnClusterTest extends ClusterCase {
    ReportsOnClusterTest(ClusterStage stage) {
        super(stage);
    }

    @Test
    void reportsAreTakenFromTheWorkersOnly() throws Exception {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        var pods = waitForPods("emoji-pretrain-1", 2);
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        var resource = pretrain();
        var audience = AttemptModel.audience(
                namespace, "pretrainjobs", "emoji", resource.getMetadata().getUid());
        var token = stage.token(namespace, "default", audience, pods.getFirst());
        var report = Fixtures.report(resource.getMetadata().getUid(), 1, 1, 150, Fixtures.checkpoint(100));
        assertThat(post(token, report)).isEqualTo(200);
        assertThat(post(stage.token(namespace, "default", audience + "x", pods.getFirst()), report))
                .isEqualTo(401);
        assertThat(post(stage.token(namespace, "default", null, null), report)).isEqualTo(401);
        eventually("progress and checkpoint stand in the status", () -> {
            var status = pretrain().getStatus();
            return status.progress() != null
                    && status.progress().step() == 150
                    && status.checkpoints() != null
                    && status.checkpoints().latest().step() == 100;
        });
        var managers = pretrain().getMetadata().getManagedFields().stream()
                .filter(entry -> "status".equals(entry.getSubresource()))
                .toList();
        assertThat(managers)
                .extracting(entry -> entry.getManager())
                .containsExactlyInAnyOrder("vlm-operator", "vlm-operator-progress");
        var fields = managers.stream()
                .filter(entry -> entry.getManager().equals("vlm-operator-progress"))
                .findFirst()
                .orElseThrow()
                .getFieldsV1()
                .getAdditionalProperties();
        assertThat(((java.util.Map<?, ?>) fields.get("f:status"))
                        .keySet().stream().map(String::valueOf))
                .containsExactly("f:progress");
    }

    @Test
    void aReportThatReachesAStandbyReachesTheStatus() throws Exception {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        var pods = waitForPods("emoji-pretrain-1", 2);
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        var uid = pretrain().getMetadata().getUid();
        var token = stage.token(
                namespace, "default", AttemptModel.audience(namespace, "pretrainjobs", "emoji", uid), pods.getFirst());
        try (var standby = stage.operator().standby()) {
            standby.leads(false);
            standby.start();
            assertThat(post(standby, token, Fixtures.report(uid, 1, 1, 150, Fixtures.checkpoint(100))))
                    .isEqualTo(200);
            eventually("the leader, which heard nothing, knows step and checkpoint", () -> {
                var status = pretrain().getStatus();
                return status.progress() != null
                        && status.progress().step() == 150
                        && status.checkpoints() != null
                        && status.checkpoints().latest().equals(Fixtures.checkpoint(100));
            });
        }
    }

    private int post(String token, ProgressReport report) throws Exception {
        return post(stage.operator().assembly(), token, report);
    }

    private int post(Assembly replica, String token, ProgressReport report) throws Exception {
        return replica.progress()
                .report(
                        namespace,
                        "pretrainjobs",
                        "emoji",
                        Optional.of(token),
                        StatusCodec.json().writeValueAsBytes(report))
                .status();
    }
}
