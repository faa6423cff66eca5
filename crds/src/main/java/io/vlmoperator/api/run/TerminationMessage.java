package io.vlmoperator.api.run;

import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Export;
import java.util.List;

/**
 * The last word of a worker: one JSON object of at most {@value #MAX_BYTES} bytes in its termination log. It survives an operator that
 * was away. Scores that do not fit are left out, last ones first; they are in storage.
 *
 * @param reason a name of {@link ExitCode}
 * @param message one line: what is wrong, where, what to do
 * @param step last completed step
 */
public record TerminationMessage(
        String reason,
        String message,
        Long step,
        Long resumedFrom,
        Checkpoint checkpoint,
        Checkpoint best,
        Integer rank,
        DatasetSummary dataset,
        List<BenchmarkResult> results,
        Export export) {
    public static final int MAX_BYTES = 4096;

    public TerminationMessage {
        results = results == null ? List.of() : List.copyOf(results);
    }
}
