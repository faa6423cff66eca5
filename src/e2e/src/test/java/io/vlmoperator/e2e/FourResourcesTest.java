package io.vlmoperator.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.TrainingStatus;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** The manifests of examples/emoji, applied in reverse order, end with scores in a status. */
@ExtendWith(Stage.Extension.class)
class FourResourcesTest {
    private final Stage stage;

    FourResourcesTest(Stage stage) {
        this.stage = stage;
    }

    @Test
    @Timeout(1200)
    void inReverseOrderEachWaitsForWhatItRefersTo() throws Exception {
        Space space = stage.newSpace("four");

        space.apply("EvalJob");
        EvalJob waiting = space.await(
                EvalJob.class,
                "emoji",
                "says that it waits",
                Duration.ofSeconds(60),
                job -> job.getStatus().conditions() != null);
        assertThat(Space.condition(waiting.getStatus().conditions(), "Accepted"))
                .satisfies(accepted -> {
                    assertThat(accepted.status()).isNotEqualTo("True");
                    assertThat(accepted.message()).contains("emoji");
                });
        assertThat(waiting.getStatus().phase()).isEqualTo(Phase.Pending);
        space.apply("SFTJob", "PretrainJob", "Dataset");

        Dataset captions = space.await(
                Dataset.class,
                "emoji-captions",
                "complete",
                Duration.ofSeconds(180),
                dataset -> dataset.getStatus().phase() == Phase.Complete);
        assertThat(captions.getStatus().samples())
                .isEqualTo(captions.getStatus().images())
                .isGreaterThan(50);
        assertThat(captions.getStatus().rows()).isPositive();
        assertThat(captions.getStatus().fill()).isBetween(0.5, 1.0);
        assertThat(captions.getStatus().digest()).startsWith("sha256:");

        PretrainJob pretrain = space.await(
                PretrainJob.class,
                "emoji",
                "complete",
                Duration.ofSeconds(240),
                job -> job.getStatus().phase() == Phase.Complete);
        assertTrained(pretrain.getStatus(), 30);
        SFTJob sft = space.await(
                SFTJob.class,
                "emoji",
                "complete",
                Duration.ofSeconds(240),
                job -> job.getStatus().phase() == Phase.Complete);
        assertTrained(sft.getStatus(), 20);

        EvalJob eval = space.await(
                EvalJob.class,
                "emoji",
                "complete",
                Duration.ofSeconds(240),
                job -> job.getStatus().phase() == Phase.Complete);
        assertThat(eval.getStatus().results())
                .extracting(BenchmarkResult::benchmark, BenchmarkResult::protocol)
                .containsExactlyInAnyOrder(
                        org.assertj.core.groups.Tuple.tuple("emoji-names", "OptionLikelihood"),
                        org.assertj.core.groups.Tuple.tuple("emoji-names", "Strict"),
                        org.assertj.core.groups.Tuple.tuple("emoji-same-category", "OptionLikelihood"),
                        org.assertj.core.groups.Tuple.tuple("emoji-same-category", "Strict"));
        assertThat(eval.getStatus().results()).allSatisfy(result -> {
            assertThat(result.chance()).isEqualTo(0.25);
            assertThat(result.rows()).isPositive();
            assertThat(result.value()).isBetween(0.0, 1.0);
            assertThat(result.step()).isEqualTo(20);
            assertThat(result.checkpointDigest()).isNotBlank();
        });
        assertThat(space.claim().resolve("runs/sft/exports")).isNotEmptyDirectory();
        assertThat(space.claim().resolve("runs/eval/predictions")).isNotEmptyDirectory();
    }

    private static void assertTrained(TrainingStatus status, long steps) {
        assertThat(status.checkpoints().latest().step()).isEqualTo(steps);
        assertThat(status.progress().loss()).isFinite();
        assertThat(status.attempts()).hasSize(1);
        assertThat(status.attempts().getFirst().world()).isEqualTo(2);
        assertThat(Space.condition(status.conditions(), "Complete").status()).isEqualTo("True");
    }
}
