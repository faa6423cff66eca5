package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.report;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.operator.model.RunStatus;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What a run warns of. */
class WarningPlanTest extends PlanCase {
    @Test
    void aWarningOfTheRunStandsInTheConditionWhoeverHeardOfIt() {
        live().reports(warned(2, "step 7 was skipped"));
        assertWarning(world.pass(), "step 7 was skipped");
        // The operator starts anew: it has heard nothing yet, but the status has.
        var s = world.pass();
        world.report = Optional.empty();
        world.status(new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                Optional.of(new io.vlmoperator.api.status.Progress(
                        1,
                        7L,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        true,
                        1L,
                        "step 7 was skipped",
                        world.now.toString(),
                        null,
                        null,
                        null)),
                s.checkpoints(),
                s.results(),
                s.attempts(),
                s.restarts(),
                s.export(),
                s.dataset(),
                s.source(),
                s.conditions()));
        assertWarning(world.pass(), "step 7 was skipped");
        world.reports(report("u-1", 1, 3, 8));
        assertThat(world.pass().condition("Progressing").orElseThrow().reason()).isEqualTo("Reporting");
    }

    private static void assertWarning(RunStatus status, String message) {
        var progressing = status.condition("Progressing").orElseThrow();
        assertThat(progressing.reason()).isEqualTo("TrainingWarning");
        assertThat(progressing.message()).isEqualTo(message);
        assertThat(progressing.status()).isEqualTo("True");
    }

    private static ProgressReport warned(long sequence, String... lines) {
        var r = report("u-1", 1, sequence, 7);
        return new ProgressReport(
                r.uid(),
                r.attempt(),
                r.sequence(),
                r.step(),
                r.steps(),
                null,
                null,
                r.tokens(),
                null,
                null,
                r.learningRate(),
                null,
                null,
                null,
                null,
                true,
                0L,
                List.of(),
                null,
                null,
                List.of(),
                List.of(lines),
                1L);
    }
}
