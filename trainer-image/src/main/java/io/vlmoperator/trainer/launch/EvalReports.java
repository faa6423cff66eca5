package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.eval.EvalStage;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.train.StopSignal;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Passes on how far an evaluation is: every change to the operator, a line every few seconds and each score to the console. */
final class EvalReports implements EvalStage.Progress {
    private static final long LINE_EVERY_NANOS = 5_000_000_000L;

    private final Progress progress;
    private final StopSignal stop;
    private final Consumer<String> log;
    private final long start = System.nanoTime();
    private long lastLine = start;
    private int scores;

    EvalReports(Progress progress, StopSignal stop, Consumer<String> log) {
        this.progress = progress;
        this.stop = stop;
        this.log = log;
    }

    /** @throws TrainerException Terminated when somebody wants the run to end; what is finished is on the disk */
    @Override
    public void report(long done, long total, List<BenchmarkResult> results) {
        long now = System.nanoTime();
        Long eta = done == 0 ? null : Math.round((now - start) / 1e9 / done * (total - done));
        progress.report(
                Stage.report(done, total, Optional.empty(), results, eta), done == total || results.size() > scores);
        for (; scores < results.size(); scores++) {
            log.accept(Results.line(results.get(scores)));
        }
        if (now - lastLine >= LINE_EVERY_NANOS && done < total) {
            lastLine = now;
            log.accept("row %d of %d%s".formatted(done, total, Stage.percent(done, total)));
        }
        stop.requested().ifPresent(request -> {
            throw new TrainerException(
                    ExitCode.Terminated, request.why() + "; " + scores + " scores are finished and stay");
        });
    }
}
