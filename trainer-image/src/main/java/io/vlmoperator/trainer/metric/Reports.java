package io.vlmoperator.trainer.metric;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.Json;
import java.util.List;

/** Makes reports: numbers that are not finite are left out, and a report that is too long loses its details, the least needed first. */
public final class Reports {
    /** Longest list of checkpoints, results and warnings in a report. */
    public static final int MAX_ENTRIES = 10;

    private Reports() {}

    /** The report of a training step. */
    public static ProgressReport training(StepRecord step, long resumedFrom, ProgressReport details) {
        boolean finite = Double.isFinite(step.loss()) && Double.isFinite(step.gradientNorm());
        return new ProgressReport(
                null,
                null,
                null,
                step.step(),
                step.steps(),
                null,
                null,
                step.tokens(),
                finite(step.loss()),
                finite(step.gradientNorm()),
                finite(step.learningRate()),
                finite(step.tokensPerSecond()),
                finite(step.mfu()),
                finite(step.dataWait()),
                step.etaSeconds(),
                finite ? null : true,
                resumedFrom,
                details.checkpoints(),
                details.best(),
                null,
                List.of(),
                details.warnings(),
                details.skippedSteps());
    }

    private static Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }

    static ProgressReport addressed(ProgressReport r, String uid, int attempt, long sequence) {
        return new ProgressReport(
                uid,
                attempt,
                sequence,
                r.step(),
                r.steps(),
                r.done(),
                r.total(),
                r.tokens(),
                r.loss(),
                r.gradientNorm(),
                r.learningRate(),
                r.tokensPerSecond(),
                r.mfu(),
                r.dataWait(),
                r.etaSeconds(),
                r.nonFinite(),
                r.resumedFrom(),
                r.checkpoints(),
                r.best(),
                r.dataset(),
                r.results(),
                r.warnings(),
                r.skippedSteps(),
                r.fetch(),
                r.stage());
    }

    /** The report as JSON of at most {@link ProgressReport#MAX_BYTES} bytes. */
    static byte[] bounded(ProgressReport r) {
        for (int entries = MAX_ENTRIES; ; entries--) {
            ProgressReport shorter = new ProgressReport(
                    r.uid(),
                    r.attempt(),
                    r.sequence(),
                    r.step(),
                    r.steps(),
                    r.done(),
                    r.total(),
                    r.tokens(),
                    r.loss(),
                    r.gradientNorm(),
                    r.learningRate(),
                    r.tokensPerSecond(),
                    r.mfu(),
                    r.dataWait(),
                    r.etaSeconds(),
                    r.nonFinite(),
                    r.resumedFrom(),
                    first(r.checkpoints(), entries),
                    r.best(),
                    entries > 0 ? r.dataset() : null,
                    first(r.results(), 3 * entries),
                    first(r.warnings(), entries),
                    r.skippedSteps(),
                    entries > 0 ? r.fetch() : null,
                    r.stage());
            byte[] json = Json.bytes(shorter);
            if (json.length <= ProgressReport.MAX_BYTES || entries == 0) {
                return json;
            }
        }
    }

    private static <T> List<T> first(List<T> all, int count) {
        return all.subList(0, Math.min(all.size(), count));
    }
}
