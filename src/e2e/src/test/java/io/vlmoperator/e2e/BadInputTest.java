package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Phase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What users get wrong, and where they read about it. */
@ExtendWith(Stage.Extension.class)
class BadInputTest {
    private final Stage stage;

    BadInputTest(Stage stage) {
        this.stage = stage;
    }

    @Test
    @Timeout(600)
    void brokenDataIsNamedInTheStatus() throws Exception {
        Space space = stage.newSpace("bad");
        Path captions = space.claim().resolve("data/captions");
        Path good;
        try (var tars = Files.list(captions)) {
            good = tars.sorted().findFirst().orElseThrow();
        }
        byte[] tar = Files.readAllBytes(good);
        Files.createDirectories(space.claim().resolve("bad"));
        Files.write(space.claim().resolve("bad/empty.tar"), new byte[0]);
        Files.write(space.claim().resolve("bad/cut.tar"), java.util.Arrays.copyOf(tar, tar.length * 2 / 3 + 100));

        space.apply(dataset(space, "empty", "pvc://emoji/bad/empty.tar"));
        space.apply(dataset(space, "missing", "pvc://emoji/bad/nothing-here.tar"));
        space.apply(dataset(space, "cut", "pvc://emoji/bad/cut.tar"));

        assertThat(failure(space, "empty")).containsIgnoringCase("empty.tar");
        assertThat(failure(space, "missing")).contains("nothing-here.tar");
        Dataset cut = space.await(
                Dataset.class,
                "cut",
                "ended",
                Duration.ofSeconds(180),
                dataset -> dataset.getStatus().finishedAt() != null);
        assertThat(cut.getStatus().rejected())
                .as("a cut tar is counted by reason, the samples before the cut are used: " + cut.getStatus())
                .isNotEmpty();
        assertThat(cut.getStatus().samples()).isPositive();
    }

    @Test
    @Timeout(300)
    void aReferenceThatIsNotThereIsNamedAndMended() throws Exception {
        Space space = stage.newSpace("refs");
        space.apply("PretrainJob");
        PretrainJob job = space.await(
                PretrainJob.class,
                "emoji",
                "says what is missing",
                Duration.ofSeconds(60),
                found -> found.getStatus().conditions() != null);
        Condition accepted = Space.condition(job.getStatus().conditions(), "Accepted");
        assertThat(accepted.message()).contains("emoji-captions");
        assertThat(job.getStatus().phase()).isEqualTo(Phase.Pending);
        assertThat(space.pods("pretrain", "emoji")).isEmpty();
    }

    @Test
    @Timeout(300)
    void aPlanThatDoesNotFitTheJobIsRefused() throws Exception {
        Space space = stage.newSpace("plan");
        space.apply("Dataset");
        space.apply(Manifests.one(
                space.manifests(),
                "PretrainJob",
                job -> ((ObjectNode) Manifests.spec(job).at("/model/projector")).put("tokensPerImage", 1)));
        PretrainJob job = space.await(
                PretrainJob.class,
                "emoji",
                "PlanMismatch",
                Duration.ofSeconds(180),
                found -> found.getStatus().conditions() != null
                        && found.getStatus().conditions().stream()
                                .anyMatch(condition -> "PlanMismatch".equals(condition.reason())));
        assertThat(Space.condition(job.getStatus().conditions(), "Accepted").message())
                .contains("tokensPerImage");
    }

    private static String failure(Space space, String name) {
        Dataset failed = space.await(
                Dataset.class,
                name,
                "failed",
                Duration.ofSeconds(180),
                dataset -> dataset.getStatus().phase() == Phase.Failed);
        List<Condition> conditions = failed.getStatus().conditions();
        return Space.condition(conditions, "Failed").message();
    }

    private static ObjectNode dataset(Space space, String name, String location) {
        return Manifests.one(space.manifests(), "Dataset", dataset -> {
            ((ObjectNode) dataset.get("metadata")).put("name", name);
            ((ObjectNode) Manifests.spec(dataset).at("/sources/0/webDataset")).put("location", location);
            ((ObjectNode) Manifests.spec(dataset).get("output")).put("location", "pvc://emoji/datasets/" + name);
        });
    }
}
