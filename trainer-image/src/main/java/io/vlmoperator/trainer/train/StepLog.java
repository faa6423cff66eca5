package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.metric.MetricsFile;
import io.vlmoperator.trainer.metric.StepRecord;
import io.vlmoperator.trainer.metric.TensorBoardFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** Turns a step into its record and writes it to all places; on ranks other than 0 it only keeps the numbers. */
final class StepLog implements AutoCloseable {
    private static final Path STATUS = Path.of("/proc/self/status");
    /** Share of the newest step in the running mean of seconds. */
    private static final double NEWEST = 0.1;
    /** The fence is looked at so often: an attempt that stood still for less has hardly been replaced, and its files are detached. */
    private static final long FENCE_NANOS = 1_000_000_000L;

    private final Trainer.Context context;
    private final Optional<RunFolder.Fence> fence;
    private final long steps;
    private final Optional<MetricsFile> metrics;
    private final Optional<TensorBoardFile> board;
    private double meanSeconds;
    private double lastLoss = Double.NaN;
    private long checked = System.nanoTime();

    /** @param fence of the rank that leads; empty on the others, which write nothing */
    StepLog(Trainer.Context context, RunFolder run, Optional<RunFolder.Fence> fence, long resumed, long steps)
            throws IOException {
        this.context = context;
        this.fence = fence;
        this.steps = steps;
        if (fence.isPresent()) {
            fence.get().check();
            metrics = Optional.of(MetricsFile.resume(run.path().resolve("metrics.jsonl"), resumed));
            board = Optional.of(TensorBoardFile.create(
                    run.path().resolve("tensorboard"), context.job().attempt(), resumed + 1, now()));
        } else {
            metrics = Optional.empty();
            board = Optional.empty();
        }
    }

    double lastLoss() {
        return lastLoss;
    }

    StepRecord record(
            long step,
            Step.Result result,
            OptionalLong rewoundTo,
            double learningRate,
            long tokens,
            double seconds,
            double peak,
            double waited)
            throws IOException {
        lastLoss = result.loss();
        meanSeconds = meanSeconds == 0 ? seconds : meanSeconds + NEWEST * (seconds - meanSeconds);
        StepRecord record = new StepRecord(
                step,
                steps,
                result.loss(),
                result.norm(),
                learningRate,
                tokens,
                result.totals().tokens() / seconds,
                result.flops() / seconds / peak,
                Math.min(1, waited / seconds),
                seconds,
                Math.round((steps - step) * meanSeconds),
                residentMiB(),
                switch (result.verdict()) {
                    case Guard.Verdict.Update ignored -> null;
                    case Guard.Verdict.Skip skip -> skip.cause().name();
                    case Guard.Verdict.Rewind ignored -> Guard.Cause.NonFinite.name();
                },
                rewoundTo.isPresent() ? rewoundTo.getAsLong() : null);
        if (metrics.isPresent()) {
            checkFence();
            metrics.get().write(record);
            Map<String, Double> scalars = new LinkedHashMap<>();
            scalars.put("train/loss", record.loss());
            scalars.put("train/gradient_norm", record.gradientNorm());
            scalars.put("train/learning_rate", learningRate);
            scalars.put("speed/tokens_per_second", record.tokensPerSecond());
            scalars.put("speed/mfu", record.mfu());
            scalars.put("speed/data_wait", record.dataWait());
            board.orElseThrow().write(now(), step, scalars);
            context.log().accept(record.line());
        }
        return record;
    }

    /** An attempt that was replaced while it stood still ends at its next step, not only at its next checkpoint. */
    private void checkFence() throws IOException {
        long now = System.nanoTime();
        if (now - checked >= FENCE_NANOS) {
            fence.orElseThrow().check();
            checked = now;
        }
    }

    private static double now() {
        return System.currentTimeMillis() / 1e3;
    }

    private static long residentMiB() {
        try (var lines = Files.lines(STATUS)) {
            return lines.filter(line -> line.startsWith("VmRSS:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
                    .findFirst()
                    .orElse(0);
        } catch (IOException e) {
            return 0;
        }
    }

    @Override
    public void close() throws IOException {
        if (metrics.isPresent()) {
            metrics.get().close();
            board.orElseThrow().close();
        }
    }
}
