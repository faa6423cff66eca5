package io.vlmoperator.trainer.dist;

import java.lang.foreign.MemorySegment;

/**
 * The collectives of one attempt's workers. Every rank calls the same operations in the same order with the same sizes; a sum is the same
 * bits wherever it is seen. No operation waits longer than the communicator's time limit for a peer that says nothing.
 *
 * <p>Sums and copies of a {@link Buffer} are started, not done, by their method: they run one after the other in the order of the calls,
 * beside the caller's arithmetic. Until {@link Pending#await} has returned, the buffer's owner neither reads nor writes it. The
 * other operations wait for all that was started before.
 *
 * <p>{@code await} and the operations that wait throw {@link io.vlmoperator.trainer.TrainerException} with {@code PeerLost} when a neighbour
 * went away, with {@code CollectiveTimeout} when one is late, and with {@code InternalError} when ranks do different things; after any of them the
 * communicator is of no more use and every later operation throws the same.
 */
public interface Communicator extends AutoCloseable {
    /** Largest message of {@link #allGather(byte[])}. */
    int MAX_MESSAGE_BYTES = 1 << 16;

    /** Something that has been started. */
    @FunctionalInterface
    interface Pending {
        /** Done already. */
        Pending DONE = () -> {};

        /** Returns when the buffer holds the result (on a device: when work queued from now on sees it). May be called again. */
        void await();
    }

    /** 0 to {@code world() - 1}. */
    int rank();

    int world();

    /** Replaces the floats with their sum over all ranks; of the same length on every rank, also none. */
    Pending allReduceSum(Buffer floats);

    /**
     * Replaces this rank's part ({@link Part#of}) with its sum over all ranks. The other parts hold nothing of use afterwards.
     *
     * @param floats FLOAT32, of the same length on every rank, also none
     */
    Pending reduceScatterSum(Buffer floats);

    /** Replaces every part with that of the rank it belongs to ({@link Part#of}): what {@link #reduceScatterSum} leaves undone. */
    Pending allGather(Buffer parts);

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

    /**
     * Operations that begin from now on may take so many times the usual limit: while ranks start, and in the first step, some are late for
     * good reasons. All ranks set it at the same places.
     *
     * @param factor 1 for the usual limit
     */
    default void patience(int factor) {}

    /** Counts an operation that does not run here as one that this rank has asked for ({@link Whereabouts}). */
    default void asked() {}

    /** What the started operations have cost so far. */
    default Traffic traffic() {
        return Traffic.NONE;
    }

    /** Ends what is under way; nothing may be awaited afterwards. */
    @Override
    void close();

    /**
     * Work of the operations on buffers since the start.
     *
     * @param bytes sent by this rank
     * @param nanos during which one was under way, whether somebody waited for it or not
     */
    record Traffic(long bytes, long nanos) {
        static final Traffic NONE = new Traffic(0, 0);
    }
}
