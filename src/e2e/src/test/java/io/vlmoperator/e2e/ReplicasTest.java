package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Phase;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Two replicas of the operator, installed with {@code --wait}: one leads, both are ready, and when the leader is taken away in mid-run the
 * other takes over and the run goes on as if nothing had been. Runs with {@code make test-e2e-long}.
 */
@Tag("long")
class ReplicasTest {
    private static final int STEPS = 400;
    private static final Duration LIMIT = Duration.ofSeconds(600);

    @Test
    @Timeout(1800)
    void theStandbyTakesOverInMidRun() throws Exception {
        try (Stage stage = Stage.withReplicas(2)) {
            assertThat(operators(stage)).as("replicas of the operator").hasSize(2);
            Space space = stage.newSpace("replicas");
            space.apply("Dataset");
            space.await(
                    Dataset.class,
                    "emoji-captions",
                    "complete",
                    LIMIT,
                    dataset -> dataset.getStatus().phase() == Phase.Complete);
            space.apply(Manifests.one(space.manifests(), "PretrainJob", ReplicasTest::longer));
            space.await(
                    PretrainJob.class,
                    "taken-over",
                    "reports",
                    LIMIT,
                    job -> job.getStatus().progress() != null && job.getStatus().phase() == Phase.Running);
            String leader = leader(stage);
            assertThat(operators(stage).stream().map(pod -> pod.getMetadata().getName()))
                    .contains(leader);
            stage.client()
                    .pods()
                    .inNamespace(stage.operatorNamespace())
                    .withName(leader)
                    .withGracePeriod(0)
                    .delete();
            space.await(
                    "another leader than " + leader,
                    LIMIT,
                    () -> leader(stage),
                    now -> !now.isEmpty() && !now.equals(leader));
            PretrainJob done = space.await(
                    PretrainJob.class,
                    "taken-over",
                    "complete",
                    LIMIT,
                    job -> job.getStatus().phase() == Phase.Complete);
            assertThat(done.getStatus().attempts())
                    .as("attempts: a change of leaders must not restart the workers")
                    .hasSize(1);
            assertThat(done.getStatus().checkpoints().latest().step()).isEqualTo(STEPS);
        }
    }

    private static void longer(ObjectNode job) {
        ((ObjectNode) job.get("metadata")).put("name", "taken-over");
        ((ObjectNode) Manifests.spec(job).get("output")).put("location", "pvc://emoji/runs/taken-over");
        ((ObjectNode) Manifests.spec(job).get("schedule"))
                .putObject("stopAfter")
                .put("steps", STEPS);
        ((ObjectNode) Manifests.spec(job).get("checkpoints")).put("everySteps", 20);
    }

    private static List<Pod> operators(Stage stage) {
        return stage.client()
                .pods()
                .inNamespace(stage.operatorNamespace())
                .list()
                .getItems();
    }

    /** Name of the pod that holds the lease; empty without one. */
    private static String leader(Stage stage) {
        var lease = stage.client()
                .leases()
                .inNamespace(stage.operatorNamespace())
                .withName("vlm-operator")
                .get();
        return lease == null || lease.getSpec().getHolderIdentity() == null
                ? ""
                : lease.getSpec().getHolderIdentity();
    }
}
