package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.status.Phase;
import java.time.Instant;
import org.junit.jupiter.api.Test;

/** No write too many, no edit lost. */
class WritesOnClusterTest extends ClusterCase {
    WritesOnClusterTest(ClusterStage stage) {
        super(stage);
    }

    @Test
    void withoutNewsNothingIsWritten() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        sleep(1500);
        long before = writesHere();
        for (int i = 0; i < 10; i++) {
            var value = Integer.toString(i);
            admin.batch()
                    .v1()
                    .jobs()
                    .inNamespace(namespace)
                    .withName("emoji-pretrain-1")
                    .edit(job -> {
                        job.getMetadata().getAnnotations().put("touched", value);
                        return job;
                    });
            sleep(100);
        }
        sleep(500);
        assertThat(writesHere()).as(stage.operator().writes().toString()).isEqualTo(before);
        assertThat(before)
                .as(
                        "writes for a Dataset and a PretrainJob up to Running: %s",
                        stage.operator().writes())
                .isLessThanOrEqualTo(24);
    }

    @Test
    void aSpecEditDuringAStatusWriteIsNotLost() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        int trials = Integer.getInteger("vlm.race.trials", 30);
        for (int trial = 0; trial < trials; trial++) {
            for (int edit = 0; edit < 3; edit++) {
                int restarts = 100 + trial * 3 + edit;
                admin.resources(PretrainJob.class)
                        .inNamespace(namespace)
                        .withName("emoji")
                        .patch(
                                PatchContext.of(PatchType.JSON_MERGE),
                                "{\"spec\":{\"failure\":{\"maxInfrastructureRestarts\":" + restarts + "}}}");
                sleep(trial * 3 % 9);
            }
            var until = Instant.now().plusSeconds(10);
            while (!pretrain()
                    .getMetadata()
                    .getGeneration()
                    .equals(pretrain().getStatus().observedGeneration())) {
                assertThat(Instant.now())
                        .as("trial %d: the last edit was never seen", trial)
                        .isBefore(until);
                sleep(20);
            }
        }
    }
}
