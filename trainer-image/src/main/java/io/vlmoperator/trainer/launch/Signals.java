package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.train.StopSignal;
import java.time.Duration;
import sun.misc.Signal;

/** SIGTERM and SIGINT: a wish to stop first; when the grace period is nearly over, the end. */
final class Signals {
    /** Time that the last words need. */
    private static final Duration RESERVE = Duration.ofSeconds(2);

    private Signals() {}

    /**
     * @param grace from SIGTERM to SIGKILL
     * @param tooLate called on a thread of its own when the work has not ended in time; must end the process
     */
    static void onTermination(StopSignal stop, Duration grace, Runnable tooLate) {
        Duration usable = grace.minus(RESERVE).isPositive() ? grace.minus(RESERVE) : grace.dividedBy(2);
        for (String name : new String[] {"TERM", "INT"}) {
            Signal.handle(new Signal(name), signal -> {
                boolean first = stop.requested().isEmpty();
                stop.request("SIG" + signal.getName(), usable);
                if (first) {
                    Thread.ofPlatform().daemon().name("grace").start(() -> {
                        try {
                            Thread.sleep(usable);
                            tooLate.run();
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                    });
                }
            });
        }
    }
}
