package io.vlmoperator.trainer.fetch;

import io.vlmoperator.api.status.FetchProgress;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/** Counts what an entry's downloads bring, and tells it now and then. Safe for several threads; who is told is told by one at a time. */
final class FetchMeter {
    private final String source;
    private final long files;
    private final Duration every;
    private final LongSupplier nanos;
    private final Told told;

    private final ReentrantLock telling = new ReentrantLock();

    // Guarded by this.
    private final long begun;
    private long last;
    private long filesDone;
    private long bytesDone;
    private long bytesTotal;
    private long unknown;
    private long brought;

    /** Hears how far it is. */
    interface Told {
        /** @param etaSeconds by the speed since the entry was begun; empty before anything came, or as long as the total is not known */
        void far(FetchProgress progress, Optional<Long> etaSeconds);
    }

    /**
     * Begins to count.
     *
     * @param every at most so often somebody is told, but for the end
     * @param nanos a clock that only goes forward
     */
    FetchMeter(FetchList list, Duration every, LongSupplier nanos, Told told) {
        this.source = list.source();
        this.files = list.files().size();
        this.bytesTotal =
                list.files().stream().mapToLong(f -> f.size().orElse(0)).sum();
        this.unknown = list.files().stream().filter(f -> f.size().isEmpty()).count();
        this.every = every;
        this.nanos = nanos;
        this.told = told;
        this.begun = nanos.getAsLong();
        this.last = begun;
    }

    /** The list is known and the files are begun with. */
    void begin() {
        tell(true);
    }

    /** Bytes that lie there from before, or (negative) that were thrown away. */
    void found(long bytes) {
        synchronized (this) {
            bytesDone += bytes;
        }
        tell(false);
    }

    /** Bytes that came. */
    void came(long bytes) {
        synchronized (this) {
            bytesDone += bytes;
            brought += bytes;
        }
        tell(false);
    }

    /** Something was done that brings no byte: content was compared, or another try was begun. */
    void worked() {
        tell(false);
    }

    /** A file's size, which the list did not tell. */
    synchronized void size(long bytes) {
        bytesTotal += bytes;
        unknown--;
    }

    /** A file is there. */
    void file() {
        boolean end;
        synchronized (this) {
            end = ++filesDone == files;
        }
        tell(end);
    }

    private void tell(boolean now) {
        FetchProgress progress;
        Optional<Long> eta;
        synchronized (this) {
            long time = nanos.getAsLong();
            if (!now && time - last < every.toNanos()) {
                return;
            }
            last = time;
            progress = progress();
            eta = eta(time);
        }
        // Telling may take its time, and the others go on counting meanwhile.
        if (now) {
            telling.lock();
        } else if (!telling.tryLock()) {
            return;
        }
        try {
            told.far(progress, eta);
        } finally {
            telling.unlock();
        }
    }

    private FetchProgress progress() {
        boolean known = unknown <= 0;
        // 100 only for all: what is left to compare and to rename is still to come.
        Integer percent = !known || bytesTotal == 0
                ? null
                : (int) Math.clamp(Math.floorDiv(100 * bytesDone, bytesTotal), 0, filesDone == files ? 100 : 99);
        return new FetchProgress(source, filesDone, files, Math.max(0, bytesDone), known ? bytesTotal : null, percent);
    }

    private Optional<Long> eta(long time) {
        if (unknown > 0 || brought <= 0) {
            return Optional.empty();
        }
        double left = Math.max(0, bytesTotal - bytesDone);
        return Optional.of(Math.round(left / brought * ((time - begun) / 1e9)));
    }

    /** The same for people. */
    static String line(FetchProgress p) {
        return String.format(
                Locale.ROOT,
                "fetched: %d of %d files, %,d of %s MiB",
                p.filesDone(),
                p.filesTotal(),
                p.bytesDone() >> 20,
                p.bytesTotal() == null ? "?" : "%,d".formatted(p.bytesTotal() >> 20));
    }
}
