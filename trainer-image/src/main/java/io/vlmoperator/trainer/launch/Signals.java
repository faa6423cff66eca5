package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.train.StopSignal;
import java.time.Duration;
import sun.misc.Signal;

/** SIGTERM and SIGINT: a wish to stop first; when the grace period is nearly over, the end. */
final class Signals {
    /** Time that the last words need. */
    private static final Duration RESERVE = Duration.ofSeconds(2);
    /** The same for a process that passes on the last words of others. */
    private static final Duration LAUNCHER_RESERVE = Duration.ofSeconds(1);

    private Signals() {}

    /**
     * @param grace from SIGTERM to SIGKILL
     * @param tooLate called on a thread of its own when the work has not ended in time; must end the process
     */
    static void onTermination(StopSignal stop, Duration grace, Runnable tooLate) {
        listen(stop, usable(grace), tooLate);
    }

    /** As {@link #onTermination}, for a process whose own processes have the same grace period: theirs is over a little before. */
    static void onTerminationOfAll(StopSignal stop, Duration grace, Runnable tooLate) {
        listen(stop, usableOfAll(grace), tooLate);
    }

    static Duration usable(Duration grace) {
        return longer(grace.minus(RESERVE), grace.dividedBy(2));
    }

    static Duration usableOfAll(Duration grace) {
        return longer(grace.minus(LAUNCHER_RESERVE), grace.multipliedBy(3).dividedBy(4));
    }

    private static Duration longer(Duration one, Duration other) {
        return one.compareTo(other) > 0 ? one : other;
    }

    private static void listen(StopSignal stop, Duration usable, Runnable tooLate) {
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
