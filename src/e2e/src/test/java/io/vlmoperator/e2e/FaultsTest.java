package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.local.Proc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A worker killed, the operator restarted, each in mid-run: the run ends with the steps and the loss it would have had anyway. */
@ExtendWith(Stage.Extension.class)
class FaultsTest {
    private static final int STEPS = 400;
    private static final Duration LIMIT = Duration.ofSeconds(300);

    private final Stage stage;

    FaultsTest(Stage stage) {
        this.stage = stage;
    }

    @Test
    @Timeout(900)
    void aKilledWorkerCostsAtMostTheStepsSinceTheLastCheckpoint() throws Exception {
        Space space = stage.newSpace("kill");
        data(space);
        space.apply(job(space, "undisturbed"));
        space.await(PretrainJob.class, "undisturbed", "complete", LIMIT, FaultsTest::complete);

        space.apply(job(space, "killed"));
        atCheckpoint(space, "killed");
        Pod victim = space.pods("pretrain", "killed").stream()
                .filter(pod -> pod.getMetadata().getName().contains("-pretrain-1-1-"))
                .findFirst()
                .orElseThrow();
        assertThat(stage.node().signalPod(space.name(), victim.getMetadata().getName(), Proc.Signal.KILL))
                .as("processes of " + victim.getMetadata().getName() + " that got the signal")
                .isPositive();

        PretrainJob done = space.await(PretrainJob.class, "killed", "complete", LIMIT, FaultsTest::complete);
        assertThat(done.getStatus().attempts()).hasSize(2);
        assertThat(done.getStatus().attempts().getFirst().failureClass()).isEqualTo("Infrastructure");
        assertThat(done.getStatus().attempts().getLast().resumedFrom()).isGreaterThanOrEqualTo(20);
        assertThat(losses(space, "killed"))
                .as("the loss curve of the killed run is that of the undisturbed one")
                .isEqualTo(losses(space, "undisturbed"));
    }

    @Test
    @Tag("long")
    @Timeout(1200)
    void aWorkerKilledForItsMemoryLimitCostsAtMostTheStepsSinceTheLastCheckpoint() throws Exception {
        Space space = stage.newSpace("memory");
        data(space);
        space.apply(job(space, "undisturbed"));
        space.await(PretrainJob.class, "undisturbed", "complete", LIMIT, FaultsTest::complete);

        space.apply(job(space, "starved"));
        atCheckpoint(space, "starved");
        Pod hungry = space.pods("pretrain", "starved").stream()
                .filter(pod -> pod.getMetadata().getName().contains("-pretrain-1-1-"))
                .findFirst()
                .orElseThrow();
        // Lowered below what the worker holds: the node's own kill, as for any limit.
        stage.node().squeeze(space.name(), hungry.getMetadata().getName(), 16 << 20);
        PretrainJob done = space.await(PretrainJob.class, "starved", "complete", LIMIT, FaultsTest::complete);
        Attempt first = done.getStatus().attempts().getFirst();
        assertThat(first.reason()).as("%s", done.getStatus().attempts()).isEqualTo("OOMKilled");
        assertThat(first.failureClass()).isEqualTo("OutOfMemory");
        assertThat(first.message())
                .contains("Worker 1 (" + hungry.getMetadata().getName() + ") was killed")
                .contains("raise workers.resources.limits.memory");
        assertThat(done.getStatus().attempts()).hasSize(2);
        assertThat(done.getStatus().attempts().getLast().resumedFrom()).isGreaterThanOrEqualTo(20);
        assertThat(losses(space, "starved"))
                .as("the loss curve of the starved run is that of the undisturbed one")
                .isEqualTo(losses(space, "undisturbed"));
        assertThat(weights(space, "starved")).isEqualTo(weights(space, "undisturbed"));
    }

    @Test
    @Timeout(600)
    void anOperatorRestartedInMidRunChangesNothing() throws Exception {
        Space space = stage.newSpace("operator");
        data(space);
        space.apply(job(space, "running"));
        atCheckpoint(space, "running");
        List<Pod> operators = stage.client()
                .pods()
                .inNamespace(stage.operatorNamespace())
                .list()
                .getItems();
        operators.forEach(pod -> stage.node()
                .signalPod(stage.operatorNamespace(), pod.getMetadata().getName(), Proc.Signal.KILL));

        PretrainJob done = space.await(PretrainJob.class, "running", "complete", LIMIT, FaultsTest::complete);
        assertThat(done.getStatus().attempts())
                .as("attempts: a restart of the operator must not restart the workers")
                .hasSize(1);
        assertThat(stage.client()
                        .batch()
                        .v1()
                        .jobs()
                        .inNamespace(space.name())
                        .withLabel("vlm-operator.io/name", "running")
                        .list()
                        .getItems())
                .hasSize(1);
        assertThat(losses(space, "running")).hasSize(STEPS);
    }

    private void data(Space space) {
        space.apply("Dataset");
        space.await(
                Dataset.class,
                "emoji-captions",
                "complete",
                Duration.ofSeconds(180),
                dataset -> dataset.getStatus().phase() == Phase.Complete);
    }

    private static ObjectNode job(Space space, String name) {
        return Manifests.one(space.manifests(), "PretrainJob", job -> {
            ((ObjectNode) job.get("metadata")).put("name", name);
            ((ObjectNode) Manifests.spec(job).get("output")).put("location", "pvc://emoji/runs/" + name);
            ((ObjectNode) Manifests.spec(job).get("schedule"))
                    .putObject("stopAfter")
                    .put("steps", STEPS);
            ((ObjectNode) Manifests.spec(job).get("checkpoints")).put("everySteps", 20);
        });
    }

    /** Looks at the storage itself: a status is some seconds behind. */
    private static void atCheckpoint(Space space, String name) {
        Path first = space.claim().resolve("runs").resolve(name).resolve("checkpoints/step-000000020");
        space.await(
                "the manifest of " + first,
                Duration.ofSeconds(120),
                () -> first.resolve("manifest-00001.json"),
                Files::exists);
    }

    private static boolean complete(PretrainJob job) {
        return job.getStatus().phase() == Phase.Complete;
    }

    /** One {@code step loss} a line, from the run's own record. */
    private static List<String> losses(Space space, String name) throws Exception {
        Path file = space.claim().resolve("runs").resolve(name).resolve("metrics.jsonl");
        try (Stream<String> lines = Files.lines(file)) {
            com.fasterxml.jackson.databind.ObjectMapper json = new com.fasterxml.jackson.databind.ObjectMapper();
            return lines.map(line -> {
                        try {
                            var record = json.readTree(line);
                            return record.get("step").asText() + " "
                                    + record.get("loss").asText();
                        } catch (java.io.IOException e) {
                            throw new java.io.UncheckedIOException(file + ": " + line, e);
                        }
                    })
                    .toList();
        }
    }

    /** Digest of the exported weights. */
    private static String weights(Space space, String name) throws Exception {
        Path file = space.claim()
                .resolve("runs")
                .resolve(name)
                .resolve("exports/step-%09d".formatted(STEPS))
                .resolve("model.safetensors");
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    }
}
