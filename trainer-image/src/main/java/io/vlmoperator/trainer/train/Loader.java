package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Batch;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Makes this rank's micro-batches ahead of time, on a thread of its own, in the order in which they are needed. At most
 * {@value #MOST_AHEAD} wait, and together they take no more than a bound of memory, unless one alone is larger; the one that is being made comes on top.
 */
final class Loader implements AutoCloseable {
    static final int MOST_AHEAD = 8;
    /** What waits may take this share of the Java heap. */
    private static final int HEAP_SHARE = 8;

    private static final int PERMIT_BYTES = 1024;
    private static final int LOOK_MILLIS = 250;

    private sealed interface Item {
        record Ready(Batch batch, int permits) implements Item {}

        record Failed(Throwable cause) implements Item {}
    }

    private final RowSource rows;
    private final Share share;
    private final BlockingQueue<Item> queue = new ArrayBlockingQueue<>(MOST_AHEAD);
    private final int allPermits;
    private final Semaphore memory;
    private final Thread thread;
    private long waitedNanos;
    private volatile Duration limit = Duration.ofDays(365);

    /**
     * @param from first row of each global batch that is this rank's
     * @param to behind the last one
     * @param micro rows in one micro-batch
     */
    record Share(int from, int to, int micro) {
        static Share of(int global, int micro, int rank, int world) {
            return new Share(
                    Math.toIntExact((long) global * rank / world),
                    Math.toIntExact((long) global * (rank + 1) / world),
                    micro);
        }

        /** Micro-batches of a step. */
        int count() {
            return (to - from + micro - 1) / micro;
        }
    }

    Loader(RowSource rows, Share share, long firstStep, long steps) {
        this(rows, share, firstStep, steps, Runtime.getRuntime().maxMemory() / HEAP_SHARE);
    }

    /** @param maxBytes that micro-batches may take while they wait */
    Loader(RowSource rows, Share share, long firstStep, long steps, long maxBytes) {
        this.rows = rows;
        this.share = share;
        allPermits = (int) Math.clamp(maxBytes / PERMIT_BYTES, 1, Integer.MAX_VALUE);
        memory = new Semaphore(allPermits);
        this.thread = Thread.ofPlatform().daemon().name("loader").start(() -> load(firstStep, steps));
    }

    private void load(long firstStep, long steps) {
        try {
            for (long step = firstStep; step < steps; step++) {
                for (int from = share.from(); from < share.to(); from += share.micro()) {
                    Batch batch = rows.rows(step, from, Math.min(from + share.micro(), share.to()));
                    int permits = (int) Math.clamp(bytes(batch) / PERMIT_BYTES, 1, allPermits);
                    memory.acquire(permits);
                    queue.put(new Item.Ready(batch, permits));
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | Error e) {
            hand(new Item.Failed(e));
        }
    }

    /** Pixels, and ids, labels and positions of every token. */
    static long bytes(Batch batch) {
        return (long) Float.BYTES * batch.pixelsNCHW().length + 3L * Integer.BYTES * batch.tokens();
    }

    private void hand(Item item) {
        try {
            queue.put(item);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** {@link #next(String)} of any micro-batch. */
    Batch next() {
        return next("a micro-batch");
    }

    /** How long {@link #next} waits from now on; in the beginning for ever. */
    void limit(Duration newLimit) {
        limit = newLimit;
    }

    /**
     * The next micro-batch; waits for it.
     *
     * @param place of the micro-batch, for messages
     * @throws TrainerException StepDeadlineExceeded when it takes longer than the limit, and whatever the data's reader threw
     */
    Batch next(String place) {
        long start = System.nanoTime();
        Duration patience = limit;
        try {
            while (true) {
                Item item = queue.poll(LOOK_MILLIS, TimeUnit.MILLISECONDS);
                if (item != null) {
                    waitedNanos += System.nanoTime() - start;
                    switch (item) {
                        case Item.Ready(Batch batch, int permits) -> {
                            memory.release(permits);
                            return batch;
                        }
                        case Item.Failed(RuntimeException e) -> throw e;
                        case Item.Failed(Error e) -> throw e;
                        case Item.Failed(Throwable e) -> throw new IllegalStateException(e);
                    }
                }
                if (System.nanoTime() - start > patience.toNanos()) {
                    throw new TrainerException(
                            ExitCode.StepDeadlineExceeded,
                            "waited " + patience.toSeconds() + " s for the data of " + place
                                    + "; the storage that holds them is slow or hangs. Raise failure.stepDeadlineSeconds"
                                    + " if that is as it should be");
                }
                if (!thread.isAlive() && queue.isEmpty()) {
                    throw new IllegalStateException("the loader has ended before the run");
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for data", e);
        }
    }

    /** Nanoseconds spent in {@link #next} since this was last asked. */
    long takeWaited() {
        long waited = waitedNanos;
        waitedNanos = 0;
        return waited;
    }

    @Override
    public void close() {
        thread.interrupt();
        try {
            thread.join(10_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
