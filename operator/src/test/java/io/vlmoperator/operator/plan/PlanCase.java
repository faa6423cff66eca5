package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.report;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;

/** A world with one PretrainJob, and how to look at its status. */
abstract class PlanCase {
    final World world = new World(PRETRAIN);

    static void assertPhase(RunStatus status, Phase phase, Reason reason) {
        var type = switch (phase) {
            case Pending -> "Accepted";
            case Queued -> "Queued";
            case Suspended -> "Suspended";
            case Complete -> "Complete";
            case Failed -> "Failed";
            case Starting, Running, Restarting -> "Running";
        };
        assertThat(status.phase()).as(status.toString()).hasValue(phase);
        assertThat(status.condition(type).orElseThrow().reason()).isEqualTo(reason.name());
    }

    World live() {
        world.pass();
        world.after(5).runs(1).reports(report("u-1", 1, 1, 1));
        world.pass();
        return world;
    }

    static void assertPhaseIs(RunStatus status, Phase phase) {
        assertThat(status.phase()).hasValue(phase);
    }

    static BenchmarkResult result(String name, long step, double value) {
        return new BenchmarkResult(
                name,
                "test",
                "Strict",
                "accuracy",
                value,
                0.01,
                0.25,
                100L,
                1L,
                0L,
                step,
                "sha256:c",
                "sha256:b",
                "sha256:p",
                16,
                10.0,
                null,
                List.of());
    }
}
