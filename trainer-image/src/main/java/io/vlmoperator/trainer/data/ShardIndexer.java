package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.List;
import java.util.concurrent.Callable;

/** Finds the samples of one shard. */
interface ShardIndexer {
    /** Walks the shard from its beginning and gives every sample, and every complaint, to the sink in order. */
    void walk(FileChannel channel, Sink sink) throws IOException;

    /** Takes what was found; keeps the order. */
    interface Sink {
        void row(IndexRow row);

        /** A sample whose check is work for another thread. May block until there is room. */
        default void sample(long bytes, Callable<IndexRow> check) {
            samples(bytes, () -> List.of(check.call()));
        }

        /** Several samples on end, checked together; {@code bytes} is what their check holds. May block until there is room. */
        void samples(long bytes, Callable<List<IndexRow>> check);
    }
}
