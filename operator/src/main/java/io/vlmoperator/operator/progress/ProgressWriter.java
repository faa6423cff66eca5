package io.vlmoperator.operator.progress;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.engine.StatusWriter;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.status.Figures;
import io.vlmoperator.operator.status.StatusCodec;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jboss.logging.Logger;

/**
 * Writes {@code status.progress}: the newest report of a resource at most every 15 seconds, 30 writes a second in all, in turn.
 * A report that is overtaken before its turn is never written.
 */
public final class ProgressWriter implements AutoCloseable {
    static final Duration PAUSE = Duration.ofSeconds(15);
    static final int TICK_MILLIS = 100;
    static final int WRITES_PER_TICK = 3;

    private static final Logger LOG = Logger.getLogger(ProgressWriter.class);
    private static final int MOST = 20_000;

    private static final int LONGEST_LOCATION = 300;

    private final Sink sink;
    private final Clock clock;
    private final BooleanSupplier leads;
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(run -> {
        var thread = new Thread(run, "progress-writer");
        thread.setDaemon(true);
        return thread;
    });
    /** Resources with something to write, in the order in which they asked. */
    private final Map<String, Pending> pending = new LinkedHashMap<>();

    private final Map<String, Instant> written = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Instant> eldest) {
            return size() > MOST;
        }
    };

    private record Pending(Subject subject, Progress progress) {}

    /** Where a progress goes. */
    public interface Sink {
        void write(Subject subject, Progress progress);
    }

    /** @param leads whether the reconcilers of this replica work */
    public ProgressWriter(Sink sink, Clock clock, BooleanSupplier leads) {
        this.sink = sink;
        this.clock = clock;
        this.leads = leads;
    }

    /** A sink that applies to the status with its own field manager. */
    public static Sink to(StatusWriter statuses) {
        return (subject, progress) -> {
            var tree = StatusCodec.json().convertValue(progress, Map.class);
            statuses.apply(subject, Map.of("progress", tree), StatusWriter.PROGRESS_MANAGER);
        };
    }

    public void start() {
        timer.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
    }

    /** Keeps the report until its turn. */
    public void offer(Subject subject, ProgressReport report, Instant at) {
        synchronized (pending) {
            if (pending.size() < MOST || pending.containsKey(subject.uid())) {
                pending.put(subject.uid(), new Pending(subject, progress(report, at, leads.getAsBoolean())));
            }
        }
    }

    /** An attempt has ended: its last report is due at once. */
    public void flush(String uid) {
        synchronized (pending) {
            written.remove(uid);
        }
    }

    void tick() {
        List<Pending> due = new ArrayList<>();
        var now = clock.instant();
        synchronized (pending) {
            Iterator<Map.Entry<String, Pending>> entries = pending.entrySet().iterator();
            while (entries.hasNext() && due.size() < WRITES_PER_TICK) {
                var entry = entries.next();
                var last = written.get(entry.getKey());
                if (last == null || !now.isBefore(last.plus(PAUSE))) {
                    entries.remove();
                    written.put(entry.getKey(), now);
                    due.add(entry.getValue());
                }
            }
        }
        for (var next : due) {
            try {
                sink.write(next.subject(), next.progress());
            } catch (RuntimeException e) {
                // The next report brings newer figures.
                LOG.warnf(
                        "Progress of %s/%s was not written: %s",
                        next.subject().namespace(), next.subject().name(), e.getMessage());
            }
        }
    }

    /** @param leads this replica's reconcilers see the report itself; otherwise they hear of its checkpoint by the status */
    static Progress progress(ProgressReport r, Instant at, boolean leads) {
        return new Progress(
                r.attempt(),
                r.step(),
                r.steps(),
                r.done(),
                r.total(),
                r.tokens(),
                Figures.readable(r.loss()),
                Figures.readable(r.gradientNorm()),
                Figures.readable(r.learningRate()),
                Figures.readable(r.tokensPerSecond()),
                Figures.readable(r.mfu()),
                Figures.readable(r.dataWait()),
                r.etaSeconds(),
                r.nonFinite(),
                r.skippedSteps(),
                r.warnings().isEmpty() ? null : Figures.line(r.warnings().getFirst()),
                at.truncatedTo(ChronoUnit.SECONDS).toString(),
                bounded(r.fetch()),
                leads ? null : newest(r),
                Figures.line(r.stage()));
    }

    private static FetchProgress bounded(FetchProgress f) {
        return f == null
                ? null
                : new FetchProgress(
                        f.source() == null ? null : Figures.line(f.source()),
                        f.filesDone(),
                        f.filesTotal(),
                        f.bytesDone(),
                        f.bytesTotal(),
                        f.percent());
    }

    /** Null without one, and for one whose place is so long that the status would grow too large: the last word tells it all the same. */
    private static Checkpoint newest(ProgressReport r) {
        return r.checkpoints().stream()
                .filter(checkpoint -> checkpoint.step() != null)
                .filter(checkpoint ->
                        checkpoint.location() == null || checkpoint.location().length() <= LONGEST_LOCATION)
                .max(Comparator.comparing(Checkpoint::step))
                .orElse(null);
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
