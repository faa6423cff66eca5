package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.data.DatasetBuilder;
import io.vlmoperator.trainer.metric.Progress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * What the operator hears of a Dataset: the stage, how many shards are through it, and when the others will be. A shard can take longer than the
 * operator waits for a word, so the last one is repeated as long as anything is done.
 */
final class DatasetProgress implements DatasetBuilder.Progress {
    static final Duration REPEAT = Duration.ofSeconds(20);

    private final Progress progress;
    private final Consumer<String> log;
    private final LongSupplier nanos;

    private Optional<DatasetStage> stage = Optional.empty();
    private long since;
    private long before = -1;
    private long done;
    private long total = 1;
    private long reported;

    /** @param nanos the clock */
    DatasetProgress(Progress progress, Consumer<String> log, LongSupplier nanos) {
        this.progress = progress;
        this.log = log;
        this.nanos = nanos;
        reported = nanos.getAsLong();
    }

    @Override
    public void stage(DatasetStage next) {
        if (stage.equals(Optional.of(next))) {
            return;
        }
        stage = Optional.of(next);
        before = -1;
        log.accept("stage " + next.word());
    }

    @Override
    public void shards(long count, long all) {
        long now = nanos.getAsLong();
        if (before < 0) {
            // What an earlier attempt did says nothing of the speed of this one.
            before = count;
            since = now;
        }
        done = count;
        total = all;
        send(count == all, Optional.empty());
        if (!stage.equals(Optional.of(DatasetStage.Pack))) {
            log.accept("shard %d of %d%s".formatted(count, all, Stage.percent(count, all)));
        }
    }

    @Override
    public void say(String line) {
        log.accept(line);
    }

    @Override
    public void alive() {
        if (nanos.getAsLong() - reported > REPEAT.toNanos()) {
            send(false, Optional.empty());
        }
    }

    /** The last report, with all that was counted. */
    void finished(DatasetSummary summary) {
        done = total;
        send(true, Optional.of(summary));
        summary.rejected().forEach(r -> log.accept("rejected: %d x %s".formatted(r.count(), r.reason())));
    }

    private void send(boolean now, Optional<DatasetSummary> summary) {
        reported = nanos.getAsLong();
        progress.report(report(summary), now);
    }

    private ProgressReport report(Optional<DatasetSummary> summary) {
        ProgressReport plain = Stage.report(done, total, summary, List.of(), eta());
        return plain.at(stage.map(DatasetStage::word).orElse(null));
    }

    /** Seconds until this stage is through, by its speed so far; null as long as nobody can say. */
    private Long eta() {
        if (done == total) {
            return 0L;
        }
        if (before < 0 || done <= before) {
            return null;
        }
        return Math.round((nanos.getAsLong() - since) / 1e9 / (done - before) * (total - done));
    }
}
