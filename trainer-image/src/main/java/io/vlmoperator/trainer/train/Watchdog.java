package io.vlmoperator.trainer.train;

import java.time.Duration;
import java.util.function.Consumer;

/** Ends a process whose step takes too long: a thread that sleeps until the newest deadline and then says who waited for what. */
public final class Watchdog implements AutoCloseable {
    private final Consumer<String> bark;
    private final Object lock = new Object();
    // Guarded by lock.
    private String doing = "starting";
    private long since = System.nanoTime();
    private Duration limit;
    private boolean closed;

    /**
     * @param limit of the first thing that is done
     * @param bark called once, on the watchdog's thread, with what took too long
     */
    public Watchdog(Duration limit, Consumer<String> bark) {
        this.limit = limit;
        this.bark = bark;
        Thread.ofPlatform().daemon().name("watchdog").start(this::watch);
    }

    /** The former thing is done; this one begins. */
    public void begin(String what, Duration newLimit) {
        synchronized (lock) {
            doing = what;
            since = System.nanoTime();
            limit = newLimit;
            lock.notifyAll();
        }
    }

    private void watch() {
        String late;
        try {
            synchronized (lock) {
                while (true) {
                    if (closed) {
                        return;
                    }
                    long left = limit.toNanos() - (System.nanoTime() - since);
                    if (left <= 0) {
                        late = doing + " took more than " + limit.toSeconds() + " s";
                        break;
                    }
                    lock.wait(left / 1_000_000 + 1);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        bark.accept(late);
    }

    @Override
    public void close() {
        synchronized (lock) {
            closed = true;
            lock.notifyAll();
        }
    }
}
