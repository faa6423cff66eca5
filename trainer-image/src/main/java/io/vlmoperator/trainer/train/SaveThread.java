package io.vlmoperator.trainer.train;

import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The thread that writes checkpoints while training goes on; it does one thing at a time. */
final class SaveThread implements AutoCloseable {
    /** How long an interrupted write may take to end; a hung file system is left to the end of the process. */
    private static final long PATIENCE_SECONDS = 10;

    private final ExecutorService executor = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().daemon().name("checkpoint").factory());

    <T> Future<T> start(Callable<T> task) {
        return executor.submit(task);
    }

    /**
     * The result of a task, once there is one.
     *
     * @throws Exception what the task threw, also an error
     */
    static <T> T get(Future<T> task) throws Exception {
        try {
            return task.get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case Error error -> throw error;
                case Exception exception -> throw exception;
                default -> throw e;
            }
        }
    }

    /** As {@link #get(Future)}; empty when there is none within the time. */
    static <T> Optional<T> get(Future<T> task, long millis) throws Exception {
        try {
            task.get(millis, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            return Optional.empty();
        } catch (ExecutionException e) {
            // Thrown below.
        }
        return Optional.of(get(task));
    }

    /** Interrupts what is still written: half a checkpoint is of no use. */
    @Override
    public void close() {
        executor.shutdownNow();
        try {
            if (!executor.awaitTermination(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                return;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
