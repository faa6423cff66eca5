package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.status.BenchmarkResult;
import java.util.List;

/** Runs an EvalJob. */
public final class EvalStage {
    /** Hears how far an evaluation is. */
    @FunctionalInterface
    public interface Progress {
        /**
         * @param done rows asked, skipped or taken over from an earlier attempt, over all benchmarks and protocols
         * @param results finished so far
         */
        void report(long done, long total, List<BenchmarkResult> results);
    }

    private EvalStage() {}
}
