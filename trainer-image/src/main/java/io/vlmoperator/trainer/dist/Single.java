package io.vlmoperator.trainer.dist;

import java.lang.foreign.MemorySegment;

/** A world of one. */
public record Single() implements Communicator {
    @Override
    public int rank() {
        return 0;
    }

    @Override
    public int world() {
        return 1;
    }

    @Override
    public Pending allReduceSum(Buffer floats) {
        return Pending.DONE;
    }

    @Override
    public Pending reduceScatterSum(Buffer floats) {
        return Pending.DONE;
    }

    @Override
    public Pending allGather(Buffer parts) {
        return Pending.DONE;
    }

    @Override
    public void broadcast(MemorySegment bytes) {}

    @Override
    public byte[][] allGather(byte[] message) {
        if (message.length > MAX_MESSAGE_BYTES) {
            throw new IllegalArgumentException(
                    "a message of " + message.length + " bytes; the limit is " + MAX_MESSAGE_BYTES);
        }
        return new byte[][] {message};
    }

    @Override
    public void close() {}
}
