package io.vlmoperator.api.run;

import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.FetchProgress;
import java.util.List;

/**
 * What rank 0 posts to {@code /v1/progress/{namespace}/{plural}/{name}}: at most 16 KiB of JSON. Numbers that are not finite are left
 * out and {@code nonFinite} is set.
 *
 * @param sequence rises by one with every report of an attempt
 * @param done Dataset: shards; EvalJob: rows
 * @param resumedFrom step of the checkpoint this attempt began with; 0 for a fresh start
 * @param checkpoints complete ones, newest first, at most ten
 * @param best the best checkpoint by {@code keep.best}
 * @param results scores so far
 * @param warnings what a person should look at, newest first, at most ten lines
 * @param stage Dataset: fetch, index, score or pack; {@code done} and {@code total} are of this stage
 * @param skippedSteps steps of the run whose batches were left out because of a loss or a gradient; missing for none
 * @param fetch Dataset: how far the download is; missing when nothing is being fetched
 */
public record ProgressReport(
        String uid,
        Integer attempt,
        Long sequence,
        Long step,
        Long steps,
        Long done,
        Long total,
        Long tokens,
        Double loss,
        Double gradientNorm,
        Double learningRate,
        Double tokensPerSecond,
        Double mfu,
        Double dataWait,
        Long etaSeconds,
        Boolean nonFinite,
        Long resumedFrom,
        List<Checkpoint> checkpoints,
        Checkpoint best,
        DatasetSummary dataset,
        List<BenchmarkResult> results,
        List<String> warnings,
        Long skippedSteps,
        FetchProgress fetch,
        String stage) {
    public static final int MAX_BYTES = 16 * 1024;

    public ProgressReport {
        checkpoints = checkpoints == null ? List.of() : List.copyOf(checkpoints);
        results = results == null ? List.of() : List.copyOf(results);
        warnings = warnings == null ? List.of() : List.copyOf(warnings);
    }

    /** Of work that has no stages, and fetches nothing. */
    public ProgressReport(
            String uid,
            Integer attempt,
            Long sequence,
            Long step,
            Long steps,
            Long done,
            Long total,
            Long tokens,
            Double loss,
            Double gradientNorm,
            Double learningRate,
            Double tokensPerSecond,
            Double mfu,
            Double dataWait,
            Long etaSeconds,
            Boolean nonFinite,
            Long resumedFrom,
            List<Checkpoint> checkpoints,
            Checkpoint best,
            DatasetSummary dataset,
            List<BenchmarkResult> results,
            List<String> warnings,
            Long skippedSteps) {
        this(
                uid,
                attempt,
                sequence,
                step,
                steps,
                done,
                total,
                tokens,
                loss,
                gradientNorm,
                learningRate,
                tokensPerSecond,
                mfu,
                dataWait,
                etaSeconds,
                nonFinite,
                resumedFrom,
                checkpoints,
                best,
                dataset,
                results,
                warnings,
                skippedSteps,
                null,
                null);
    }

    /** The same, of a stage. */
    public ProgressReport at(String word) {
        return new ProgressReport(
                uid,
                attempt,
                sequence,
                step,
                steps,
                done,
                total,
                tokens,
                loss,
                gradientNorm,
                learningRate,
                tokensPerSecond,
                mfu,
                dataWait,
                etaSeconds,
                nonFinite,
                resumedFrom,
                checkpoints,
                best,
                dataset,
                results,
                warnings,
                skippedSteps,
                fetch,
                word);
    }
}
