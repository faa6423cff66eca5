package io.vlmoperator.trainer.dist;

import java.lang.foreign.MemorySegment;

/** A rank of a test that works on no buffers: what it does not exchange ends with an exception. */
public interface MessagesOnly extends Communicator {
    @Override
    default Pending allReduceSum(Buffer floats) {
        throw new UnsupportedOperationException("a sum of " + floats);
    }

    @Override
    default Pending reduceScatterSum(Buffer floats) {
        throw new UnsupportedOperationException("a sum of " + floats);
    }

    @Override
    default Pending allGather(Buffer parts) {
        throw new UnsupportedOperationException("a gathering of " + parts);
    }

    @Override
    default void broadcast(MemorySegment bytes) {
        throw new UnsupportedOperationException("a broadcast of " + bytes);
    }

    @Override
    default byte[][] allGather(byte[] message) {
        throw new UnsupportedOperationException("a message of " + message.length + " bytes");
    }

    @Override
    default void close() {}
}
