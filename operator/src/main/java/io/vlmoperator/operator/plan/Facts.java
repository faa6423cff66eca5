package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.policy.Reason;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What a pass found out; the status is a function of this and of the old status.
 *
 * @param reason of the stage
 * @param reporting the running attempt has reported
 * @param warning what the running attempt warned of last
 * @param needsPerson a person must act before it goes on
 * @param source what an EvalJob scores
 */
public record Facts(
        Stage stage,
        Reason reason,
        String message,
        boolean reporting,
        Optional<String> warning,
        boolean needsPerson,
        List<Attempt> attempts,
        Restarts restarts,
        Optional<Checkpoints> checkpoints,
        List<BenchmarkResult> results,
        Optional<Export> export,
        Optional<DatasetSummary> dataset,
        Optional<String> source,
        Optional<Instant> startedAt,
        Optional<Instant> finishedAt) {
    public Facts {
        attempts = List.copyOf(attempts);
        results = List.copyOf(results);
    }
}
