package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.BindingBuilder;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Phase;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Policies that need a cluster to be seen: clocks, a queue, deletion. */
class PoliciesOnClusterTest extends ClusterCase {
    PoliciesOnClusterTest(ClusterStage stage) {
        super(stage);
    }

    @Test
    void suspensionStopsTheWorkersAndResumesWithTheNextAttempt() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        apply(Fixtures.PRETRAIN.replace("spec:", "spec:\n  suspend: true"));
        eventuallyPhase(Phase.Suspended);
        eventually("its pods are gone", () -> pods("emoji-pretrain-1").isEmpty());
        apply(Fixtures.PRETRAIN.replace("spec:", "spec:\n  suspend: false"));
        job("emoji-pretrain-2");
        assertThat(pretrain().getStatus().restarts().total()).isZero();
    }

    @Test
    void aJobGoesOnWithTheNodesThatWereFound() {
        completeDataset();
        apply(Fixtures.PRETRAIN
                .replace("nodes: 2", "nodes: 2, minNodes: 1")
                .replace("startupDeadlineSeconds: 600", "startupDeadlineSeconds: 10")
                .replace("maxInfrastructureRestarts: 4", "maxInfrastructureRestarts: 100"));
        // Plays a scheduler that has room for one: on a slow machine an attempt may end before it got to that.
        eventually("an attempt with one pod", () -> {
            reap();
            var newest = newestJob();
            newest.map(job -> pods(job.getMetadata().getName())).stream()
                    .flatMap(List::stream)
                    .min(Comparator.comparing(pod -> pod.getMetadata().getName()))
                    .ifPresent(this::bind);
            return newest.filter(job -> job.getSpec().getCompletions() == 1).isPresent();
        });
        var small = newestJob().orElseThrow().getMetadata().getName();
        run(small, 1);
        eventuallyPhase(Phase.Running);
        var attempts = pretrain().getStatus().attempts();
        assertThat(attempts.getLast().world()).isEqualTo(1);
        assertThat(attempts.get(attempts.size() - 2)).satisfies(before -> {
            assertThat(before.reason()).isEqualTo("NodesMissing");
            assertThat(before.scheduled()).isEqualTo(1);
            assertThat(before.world()).isEqualTo(2);
            assertThat(before.message()).contains("1 of 2");
        });
    }

    @Test
    void aQueueAdmitsPartOfTheNodesAndTakesThemBack() {
        completeDataset();
        apply(Fixtures.PRETRAIN.replace("nodes: 2", "nodes: 2, minNodes: 1, queue: {kind: Kueue, name: research}"));
        eventuallyPhase(Phase.Queued);
        assertThat(pretrain().getStatus().reason()).isEqualTo("WaitingForQuota");
        assertThat(pods("emoji-pretrain-1")).isEmpty();
        kueue("emoji-pretrain-1", "{\"spec\":{\"parallelism\":1,\"completions\":1,\"suspend\":false}}");
        run("emoji-pretrain-1", 1);
        eventuallyPhase(Phase.Running);
        assertThat(attempt(1).world()).isEqualTo(1);
        assertThat(admin.configMaps()
                        .inNamespace(namespace)
                        .withName("emoji-pretrain-1-nodes")
                        .get()
                        .getData())
                .containsEntry("nodes", "1");
        kueue("emoji-pretrain-1", "{\"spec\":{\"suspend\":true}}");
        assertThat(job("emoji-pretrain-2").getSpec())
                .satisfies(spec -> assertThat(spec.getSuspend()).isTrue())
                .satisfies(spec -> assertThat(spec.getCompletions()).isEqualTo(2));
        eventually(
                "the first attempt has ended",
                () -> "Requeued".equals(attempt(1).reason()));
        assertThat(pretrain().getStatus().restarts().infrastructure()).isZero();
    }

    @Test
    void aDatasetInUseIsHeldBackUntilTheJobEnds() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        eventually("the finalizer is there", () -> dataset().getFinalizers().contains("vlm-operator.io/in-use"));
        admin.resource(dataset()).delete();
        eventually(
                "it says whom it waits for",
                () -> dataset().getStatus().conditions().stream()
                        .filter(condition -> condition.type().equals("Held"))
                        .map(Condition::message)
                        .anyMatch(message -> message.contains("PretrainJob emoji")));
        assertThat(dataset().getStatus().reason()).isEqualTo("InUse");
        assertThat(dataset().getStatus().phase()).isEqualTo(Phase.Complete);
        run("emoji-pretrain-1", 2);
        succeed("emoji-pretrain-1", "{\"reason\":\"Completed\",\"step\":10}");
        eventually("it goes", () -> dataset() == null);
    }

    @Test
    void aDatasetThatNobodyUsesGoesAtOnce() {
        completeDataset();
        assertThat(dataset().getFinalizers()).isEmpty();
        admin.resource(dataset()).delete();
        eventually("it goes", () -> dataset() == null);
    }

    @Test
    void whenItsTimeIsOverAResourceFailsOrIsDeleted() {
        completeDataset();
        apply(Fixtures.PRETRAIN
                .replace("activeDeadlineSeconds: 86400", "activeDeadlineSeconds: 2")
                .replace("spec:", "spec:\n  ttlSecondsAfterFinished: 20"));
        eventuallyPhase(Phase.Failed);
        assertThat(pretrain().getStatus().reason()).isEqualTo("ActiveDeadlineExceeded");
        eventually("its workers are ended", () -> newestJob().isEmpty());
        eventually("it is deleted when its time to live is over", () -> pretrain() == null);
    }

    private Dataset dataset() {
        return admin.resources(Dataset.class)
                .inNamespace(namespace)
                .withName("captions")
                .get();
    }

    /** The Job of the newest attempt of the PretrainJob. */
    private Optional<Job> newestJob() {
        return admin.batch().v1().jobs().inNamespace(namespace).list().getItems().stream()
                .filter(job -> job.getMetadata().getName().startsWith("emoji-pretrain-"))
                .filter(job -> job.getMetadata().getDeletionTimestamp() == null)
                .max(Comparator.comparing((HasMetadata job) ->
                        Integer.valueOf(job.getMetadata().getLabels().get("vlm-operator.io/attempt"))));
    }

    /** Gives a pod a node, if it has none. */
    private void bind(Pod pod) {
        if (pod.getSpec().getNodeName() != null) {
            return;
        }
        var binding = new BindingBuilder()
                .withNewMetadata()
                .withName(pod.getMetadata().getName())
                .withNamespace(namespace)
                .endMetadata()
                .withNewTarget()
                .withApiVersion("v1")
                .withKind("Node")
                .withName("node-1")
                .endTarget()
                .build();
        try {
            admin.bindings().inNamespace(namespace).resource(binding).create();
        } catch (KubernetesClientException e) {
            // Gone, or bound meanwhile: the next look shows it.
            assertThat(e.getCode()).isIn(404, 409);
        }
    }

    /** A kubelet would end the processes of pods that are being deleted, and then let the pods go. */
    private void reap() {
        admin.pods().inNamespace(namespace).list().getItems().stream()
                .filter(pod -> pod.getMetadata().getDeletionTimestamp() != null)
                .forEach(pod -> admin.resource(pod).withGracePeriod(0).delete());
    }

    /** What Kueue does to a Job. */
    private void kueue(String job, String patch) {
        admin.batch()
                .v1()
                .jobs()
                .inNamespace(namespace)
                .withName(job)
                .patch(PatchContext.of(PatchType.JSON_MERGE), patch);
    }
}
