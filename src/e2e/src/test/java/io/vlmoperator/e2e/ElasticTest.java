package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * {@code workers.minNodes} on two nodes: one goes away in mid-run, a second attempt finds only one worker a place for, and the third goes on with
 * one: same order of the data, same losses as the run that nothing disturbed. Runs with {@code make test-e2e-long}.
 */
@Tag("long")
class ElasticTest {
    private static final int STEPS = 300;
    private static final int SAVED = 20;
    private static final Duration LIMIT = Duration.ofMinutes(15);

    @Test
    @Timeout(3600)
    void aRunGoesOnWithTheNodesThatAreLeft() throws Exception {
        try (Stage stage = Stage.withNodes(2)) {
            Space space = stage.newSpace("elastic");
            space.apply("Dataset");
            space.await(
                    Dataset.class,
                    "emoji-captions",
                    "complete",
                    LIMIT,
                    dataset -> dataset.getStatus().phase() == Phase.Complete);
            space.apply(job(space, "whole"));
            PretrainJob whole = space.await(PretrainJob.class, "whole", "complete", LIMIT, ElasticTest::complete);
            assertThat(whole.getStatus().attempts()).extracting(Attempt::world).containsExactly(2);

            space.apply(job(space, "shrunk"));
            var first = space.claim().resolve("runs/shrunk/checkpoints/step-%09d".formatted(SAVED));
            space.await(
                    "a checkpoint at " + first,
                    LIMIT,
                    () -> Files.exists(first.resolve("manifest-00001.json")),
                    there -> there);
            Pod victim = space.pods("pretrain", "shrunk").stream()
                    .filter(pod -> pod.getMetadata().getName().contains("-pretrain-1-1-"))
                    .findFirst()
                    .orElseThrow();
            String gone = victim.getSpec().getNodeName();
            assertThat(space.pods("pretrain", "shrunk"))
                    .as("one worker a node")
                    .extracting(pod -> pod.getSpec().getNodeName())
                    .containsExactlyInAnyOrder("local-1", "local-2");
            // No new pod comes to this node, and the worker on it dies.
            stage.client()
                    .nodes()
                    .withName(gone)
                    .edit(node -> new NodeBuilder(node)
                            .editSpec()
                            .withUnschedulable(true)
                            .endSpec()
                            .build());
            assertThat(stage.node(gone)
                            .signalPod(space.name(), victim.getMetadata().getName(), Proc.Signal.KILL))
                    .as("processes of " + victim.getMetadata().getName() + " that got the signal")
                    .isPositive();

            PretrainJob shrunk = space.await(PretrainJob.class, "shrunk", "complete", LIMIT, ElasticTest::complete);
            List<Attempt> attempts = shrunk.getStatus().attempts();
            assertThat(attempts).extracting(Attempt::world).containsExactly(2, 2, 1);
            assertThat(attempts.get(1).reason()).isEqualTo("NodesMissing");
            assertThat(attempts.get(1).scheduled()).isEqualTo(1);
            assertThat(attempts.get(2).resumedFrom())
                    .isGreaterThanOrEqualTo(SAVED)
                    .isLessThan(STEPS);
            assertSame(
                    records(space, "whole"),
                    records(space, "shrunk"),
                    attempts.get(2).resumedFrom());
        }
    }

    /** Text for text up to the checkpoint, then the same rows, and losses within 1e-5 for 20 steps. */
    private static void assertSame(List<JsonNode> whole, List<JsonNode> shrunk, long resumedFrom) {
        assertThat(shrunk)
                .extracting(record -> record.get("step"))
                .isEqualTo(whole.stream().map(record -> record.get("step")).toList());
        for (int i = 0; i < whole.size(); i++) {
            JsonNode expected = whole.get(i);
            JsonNode actual = shrunk.get(i);
            long step = expected.get("step").asLong();
            assertThat(actual.get("tokens")).as("tokens up to step " + step).isEqualTo(expected.get("tokens"));
            double loss = expected.get("loss").asDouble();
            if (step <= resumedFrom) {
                assertThat(actual.get("loss")).as("loss of step " + step).isEqualTo(expected.get("loss"));
            } else if (step <= resumedFrom + 20) {
                assertThat(actual.get("loss").asDouble())
                        .as("loss of step " + step + " with one worker")
                        .isCloseTo(loss, within(1e-5));
            } else {
                // Sums of another order drift apart slowly; rows of another order would be apart at once.
                assertThat(actual.get("loss").asDouble())
                        .as("loss of step " + step + " with one worker")
                        .isCloseTo(loss, within(1e-2));
            }
        }
    }

    private static ObjectNode job(Space space, String name) {
        return Manifests.one(space.manifests(), "PretrainJob", job -> {
            ((ObjectNode) job.get("metadata")).put("name", name);
            ObjectNode spec = Manifests.spec(job);
            ((ObjectNode) spec.get("output")).put("location", "pvc://emoji/runs/" + name);
            ((ObjectNode) spec.get("schedule")).putObject("stopAfter").put("steps", STEPS);
            ((ObjectNode) spec.get("checkpoints")).put("everySteps", SAVED);
            ObjectNode workers = (ObjectNode) spec.get("workers");
            workers.put("minNodes", 1);
            // More than half a node: never two workers on one.
            ((ObjectNode) workers.at("/resources/requests")).put("cpu", "5");
            ((ObjectNode) workers.at("/resources/limits")).put("cpu", "5");
            spec.withObject("/failure").put("startupDeadlineSeconds", 150);
        });
    }

    private static boolean complete(PretrainJob job) {
        return job.getStatus().phase() == Phase.Complete;
    }

    private static List<JsonNode> records(Space space, String name) throws IOException {
        ObjectMapper json = new ObjectMapper();
        List<JsonNode> all = new ArrayList<>();
        for (String line :
                Files.readAllLines(space.claim().resolve("runs").resolve(name).resolve("metrics.jsonl"))) {
            all.add(json.readTree(line));
        }
        assertThat(all).hasSize(STEPS);
        return all;
    }
}
