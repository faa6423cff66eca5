package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.fail;

import io.fabric8.kubernetes.api.model.PersistentVolumeClaimBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.extension.ExtendWith;

/** A test in a namespace of its own: applies what a person would, and plays the kubelet by patching the status of pods. */
@ExtendWith(ClusterStage.Extension.class)
abstract class ClusterCase {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    final ClusterStage stage;
    final KubernetesClient admin;
    String namespace;

    ClusterCase(ClusterStage stage) {
        this.stage = stage;
        this.admin = stage.admin();
    }

    @BeforeEach
    void freshNamespace(TestInfo test) {
        namespace = test.getTestMethod().orElseThrow().getName().toLowerCase(java.util.Locale.ROOT);
        admin.resource(ClusterStage.namespace(namespace)).create();
        for (String claim : List.of("data", "runs", "tars")) {
            admin.resource(new PersistentVolumeClaimBuilder()
                            .withNewMetadata()
                            .withName(claim)
                            .withNamespace(namespace)
                            .endMetadata()
                            .withNewSpec()
                            .withAccessModes("ReadWriteMany")
                            .withNewResources()
                            .addToRequests("storage", new Quantity("1Gi"))
                            .endResources()
                            .endSpec()
                            .build())
                    .create();
        }
    }

    static void eventually(String what, Supplier<Boolean> condition) {
        var until = Instant.now().plus(PATIENCE);
        RuntimeException last = null;
        while (Instant.now().isBefore(until)) {
            try {
                if (condition.get()) {
                    return;
                }
                last = null;
            } catch (RuntimeException e) {
                last = e;
            }
            sleep(50);
        }
        fail("After " + PATIENCE.toSeconds() + " s not yet: " + what, last);
    }

    static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** A person's manifest of a fixture. */
    String manifest(String fixture) {
        return fixture.replaceAll(
                "metadata: \\{name: ([a-z]+), .*\\}", "metadata: {name: $1, namespace: " + namespace + "}");
    }

    void apply(String fixture) {
        admin.load(new java.io.ByteArrayInputStream(
                        manifest(fixture).getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                .serverSideApply();
    }

    /** As if its workers had made it. */
    void completeDataset() {
        apply(Fixtures.DATASET);
        job("captions-dataset-1");
        succeed(
                "captions-dataset-1",
                "{\"reason\":\"Completed\",\"dataset\":{\"samples\":9,\"digest\":\"sha256:d\",\"tokenizerDigest\":\"sha256:t\"}}");
        eventually(
                "Dataset complete",
                () -> admin.resources(Dataset.class)
                                .inNamespace(namespace)
                                .withName("captions")
                                .get()
                                .getStatus()
                                .phase()
                        == Phase.Complete);
    }

    Job job(String name) {
        eventually(
                "Job " + name,
                () -> admin.batch()
                                .v1()
                                .jobs()
                                .inNamespace(namespace)
                                .withName(name)
                                .get()
                        != null);
        return admin.batch().v1().jobs().inNamespace(namespace).withName(name).get();
    }

    List<Pod> pods(String job) {
        return admin.pods()
                .inNamespace(namespace)
                .withLabel("job-name", job)
                .list()
                .getItems();
    }

    List<Pod> waitForPods(String job, int count) {
        eventually(count + " pods of " + job, () -> pods(job).size() == count);
        return pods(job);
    }

    /** Plays the kubelet: the status of a pod. */
    void kubelet(Pod pod, String phase, String reason, String containerState) {
        var container = containerState.isEmpty()
                ? ""
                : ",\"containerStatuses\":[{\"name\":\"trainer\",\"image\":\"i\",\"imageID\":\"\",\"ready\":false,\"restartCount\":0,\"state\":"
                        + containerState + "}]";
        var body = "{\"status\":{\"phase\":\"" + phase + "\""
                + (reason.isEmpty() ? "" : ",\"reason\":\"" + reason + "\"") + container + "}}";
        admin.pods()
                .inNamespace(namespace)
                .withName(pod.getMetadata().getName())
                .subresource("status")
                .patch(PatchContext.of(PatchType.STRATEGIC_MERGE), body);
    }

    static String terminated(int code, String reason, String message) {
        var quoted = message.replace("\"", "\\\"");
        return "{\"terminated\":{\"exitCode\":" + code + ",\"reason\":\"" + reason + "\",\"message\":\"" + quoted
                + "\",\"startedAt\":\"2026-01-01T00:00:00Z\",\"finishedAt\":\"2026-01-01T00:01:00Z\"}}";
    }

    void run(String job, int count) {
        for (Pod pod : waitForPods(job, count)) {
            kubelet(pod, "Running", "", "{\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"}}");
        }
    }

    void succeed(String job, String word) {
        int count = job(job).getSpec().getCompletions();
        for (Pod pod : waitForPods(job, count)) {
            kubelet(pod, "Succeeded", "", terminated(0, "Completed", word));
        }
    }

    PretrainJob pretrain() {
        return admin.resources(PretrainJob.class)
                .inNamespace(namespace)
                .withName("emoji")
                .get();
    }

    void eventuallyPhase(Phase phase) {
        eventually(
                "PretrainJob " + namespace + "/emoji is " + phase + ": "
                        + Optional.ofNullable(pretrain()).map(PretrainJob::getStatus),
                () -> pretrain().getStatus() != null && pretrain().getStatus().phase() == phase);
    }

    Attempt attempt(int number) {
        return pretrain().getStatus().attempts().stream()
                .filter(a -> a.number() == number)
                .findFirst()
                .orElseThrow();
    }

    long writesHere() {
        return stage.operator().writes().stream()
                .filter(write -> write.contains("/" + namespace + "/"))
                .count();
    }
}
