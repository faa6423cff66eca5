package io.vlmoperator.trainer.launch;

import io.vlmoperator.trainer.train.StopSignal;
import java.time.Duration;
import java.util.function.Consumer;

/** As long as it is open, a wish to stop is followed at once: for work whose finished parts are on the disk and that has nothing to save. */
final class EndsAtOnce implements AutoCloseable {
    private static final Duration LOOK = Duration.ofMillis(100);

    private final Thread thread;

    /** @param end called on a thread of its own; must end the process */
    EndsAtOnce(StopSignal stop, Consumer<StopSignal.Request> end) {
        thread = Thread.ofPlatform().daemon().name("stop").start(() -> {
            try {
                while (stop.requested().isEmpty()) {
                    Thread.sleep(LOOK);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
            end.accept(stop.requested().get());
        });
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
