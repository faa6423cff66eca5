package io.vlmoperator.trainer.dist;

import java.lang.foreign.MemorySegment;

/**
 * The collectives of one attempt's workers. Every rank calls the same operations in the same order with the same sizes; results are the
 * same bits on every rank. No operation waits longer than the communicator's time limit.
 *
 * <p>Each operation throws {@link io.vlmoperator.trainer.TrainerException} with {@code PeerLost} when a neighbour went away and with
 * {@code CollectiveTimeout} when one is late; after either the communicator is of no more use.
 */
public interface Communicator extends AutoCloseable {
    /** Largest message of {@link #allGather}. */
    int MAX_MESSAGE_BYTES = 1 << 16;

    /** 0 to {@code world() - 1}. */
    int rank();

    int world();

    /**
     * Replaces the floats (native byte order) with their sum over all ranks.
     *
     * @param floats of the same length on every rank; any number of elements, also none
     */
    void allReduceSum(MemorySegment floats);

    /** Copies rank 0's bytes to all others. */
    void broadcast(MemorySegment bytes);

    /**
     * Each rank's small message, in rank order.
     *
     * @param message at most {@value #MAX_MESSAGE_BYTES} bytes; lengths may differ
     */
    byte[][] allGather(byte[] message);

    /** Returns when all ranks have called it. */
    default void barrier() {
        allGather(new byte[0]);
    }

    @Override
    void close();
}
