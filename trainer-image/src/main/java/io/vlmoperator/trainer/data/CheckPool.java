package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Checks samples on several threads and hands their rows on in order, with a bound on what is in flight. */
final class CheckPool implements AutoCloseable {
    private static final long MAX_BYTES = 256L << 20;

    private final ExecutorService threads;
    private final int maxTasks;

    CheckPool(int count) {
        maxTasks = 8 * count;
        threads = Executors.newFixedThreadPool(count, task -> {
            Thread thread = new Thread(task, "sample-check");
            thread.setDaemon(true);
            return thread;
        });
    }

    /**
     * A sink that writes to one index.
     *
     * @param alive told of every sample
     */
    Ordered into(IndexFile.Writer writer, String shard, Runnable alive) {
        return new Ordered(writer, shard, alive);
    }

    /** Rows of one shard. */
    final class Ordered implements ShardIndexer.Sink {
        private final ArrayDeque<Pending> pending = new ArrayDeque<>();
        private final IndexFile.Writer writer;
        private final String shard;
        private final Runnable alive;
        private long bytes;

        private record Pending(Future<List<IndexRow>> rows, long bytes) {}

        private Ordered(IndexFile.Writer writer, String shard, Runnable alive) {
            this.alive = alive;
            this.writer = writer;
            this.shard = shard;
        }

        @Override
        public void row(IndexRow row) {
            drain(0);
            writer.add(row);
        }

        @Override
        public void samples(long size, Callable<List<IndexRow>> check) {
            alive.run();
            drain(maxTasks - 1);
            while (!pending.isEmpty() && bytes + size > MAX_BYTES) {
                drain(pending.size() - 1);
            }
            pending.add(new Pending(threads.submit(check), size));
            bytes += size;
        }

        /** Waits until at most so many are in flight. */
        void drain(int left) {
            while (pending.size() > left) {
                Pending first = pending.remove();
                bytes -= first.bytes;
                try {
                    first.rows.get().forEach(writer::add);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new TrainerException(ExitCode.Terminated, "stopped while reading " + shard, e);
                } catch (ExecutionException e) {
                    throw failure(e.getCause());
                }
            }
        }

        private RuntimeException failure(Throwable cause) {
            if (cause instanceof TrainerException known) {
                return known;
            }
            if (cause instanceof Error error) {
                throw error; // out of memory is no fault of the program
            }
            if (cause instanceof IOException) {
                return TrainerException.storage("can't read " + shard + ": " + cause.getMessage(), cause);
            }
            return new TrainerException(ExitCode.InternalError, "checking a sample of " + shard + ": " + cause, cause);
        }
    }

    @Override
    public void close() {
        threads.shutdown();
    }
}
