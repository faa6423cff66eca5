package io.vlmoperator.operator;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.function.LongSupplier;

/**
 * The time by which deadlines, pauses and silences are judged. It begins with the machine's wall clock and then counts by the monotonic
 * one: when somebody sets the wall clock, no deadline passes and no attempt is given up because of it. It follows the wall clock by at
 * most one percent of the time that passes; only a difference of more than a day (a clock that had not been set yet) is taken over at
 * once. Certificates are judged by the wall clock, as their readers do.
 */
final class SteadyClock extends Clock {
    /** A duration is wrong by at most one part in so many. */
    private static final long SLEW = 100;

    private static final Duration NOT_SET_YET = Duration.ofDays(1);

    private final Clock wall;
    private final LongSupplier nanos;
    // Guarded by this.
    private Instant now;
    private long counted;

    SteadyClock() {
        this(Clock.systemUTC(), System::nanoTime);
    }

    /** @param nanos a counter that never jumps */
    SteadyClock(Clock wall, LongSupplier nanos) {
        this.wall = wall;
        this.nanos = nanos;
        this.now = wall.instant();
        this.counted = nanos.getAsLong();
    }

    @Override
    public synchronized Instant instant() {
        long count = nanos.getAsLong();
        long passed = Math.max(0, count - counted);
        counted = count;
        now = now.plusNanos(passed);
        Duration behind = Duration.between(now, wall.instant());
        if (behind.abs().compareTo(NOT_SET_YET) > 0) {
            now = now.plus(behind);
        } else {
            long most = passed / SLEW;
            now = now.plusNanos(Math.clamp(behind.toNanos(), -most, most));
        }
        return now;
    }

    @Override
    public ZoneId getZone() {
        return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
        throw new UnsupportedOperationException("instants have no zone");
    }
}
