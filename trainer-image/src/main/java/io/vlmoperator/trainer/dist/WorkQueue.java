package io.vlmoperator.trainer.dist;

import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * One thread that does one thing after the other. After the first that fails nothing is done any more: all that was asked for and all that
 * will be fails with the same.
 */
final class WorkQueue {
    /** More than any step has layers; whoever starts more without waiting has a fault. */
    private static final int MAX_WAITING = 1 << 16;

    private static final long CLOSE_SECONDS = 10;

    private final ThreadPoolExecutor executor;
    // Used by the thread only.
    private Throwable failure;

    WorkQueue(String name) {
        executor = new ThreadPoolExecutor(
                1,
                1,
                0,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(MAX_WAITING),
                work -> Thread.ofPlatform().daemon().name(name).unstarted(work));
    }

    /** To be done when all before it is done. */
    Communicator.Pending submit(Runnable work) {
        FutureTask<Void> task = new FutureTask<>(
                () -> {
                    rethrow();
                    try {
                        work.run();
                    } catch (RuntimeException | Error e) {
                        failure = e;
                        throw e;
                    }
                },
                null);
        try {
            executor.execute(task);
        } catch (RejectedExecutionException e) {
            throw new IllegalStateException("the communicator is closed, or " + MAX_WAITING + " operations wait", e);
        }
        return () -> await(task);
    }

    private void rethrow() {
        switch (failure) {
            case null -> {}
            case RuntimeException known -> throw known;
            case Error known -> throw known;
            default -> throw new IllegalStateException(failure);
        }
    }

    private static void await(FutureTask<Void> task) {
        try {
            task.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the other workers", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case RuntimeException known -> throw known;
                case Error known -> throw known;
                default -> throw new IllegalStateException(e.getCause());
            }
        } catch (CancellationException e) {
            throw new IllegalStateException("the communicator is closed", e);
        }
    }

    /** Forgets what waits; true when the thread has ended. */
    boolean close() {
        executor.shutdownNow().forEach(task -> ((FutureTask<?>) task).cancel(false));
        try {
            return executor.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
