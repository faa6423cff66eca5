package io.vlmoperator.trainer.train;

import java.time.Duration;
import java.util.Optional;

/** Somebody wants the run to end: the operating system, or the operator. Safe for use by several threads. */
public final class StopSignal {
    /**
     * @param why for the log
     * @param deadline {@link System#nanoTime()} at which the process is killed
     */
    public record Request(String why, long deadline) {
        /** Time until the kill, never negative. */
        public Duration left() {
            return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
        }
    }

    private volatile Optional<Request> request = Optional.empty();

    /** The first request counts. */
    public synchronized void request(String why, Duration grace) {
        if (request.isEmpty()) {
            request = Optional.of(new Request(why, System.nanoTime() + grace.toNanos()));
        }
    }

    /** What was asked, if anything was. */
    public Optional<Request> requested() {
        return request;
    }
}
