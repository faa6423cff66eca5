package io.vlmoperator.trainer.dist;

import io.vlmoperator.trainer.op.DType;
import java.lang.foreign.MemorySegment;

/**
 * Elements in a row for a collective.
 *
 * @param memory of this machine; for a communicator of devices address and length of the device's memory, which Java does not touch
 * @param type of the elements
 */
public record Buffer(MemorySegment memory, DType type) {
    public Buffer {
        if (memory.byteSize() % type.bytes() != 0) {
            throw new IllegalArgumentException(memory.byteSize() + " bytes are no whole number of " + type);
        }
    }

    /** FLOAT32 elements. */
    public static Buffer floats(MemorySegment memory) {
        return new Buffer(memory, DType.FLOAT32);
    }

    /** Number of elements. */
    public long count() {
        return memory.byteSize() / type.bytes();
    }

    /** The elements from {@code from} to before {@code to}. */
    public Buffer slice(long from, long to) {
        return new Buffer(memory.asSlice(from * type.bytes(), (to - from) * type.bytes()), type);
    }

    /** What belongs to a rank: see {@link Part#of}. */
    Buffer part(int rank, int world) {
        Part part = Part.of(count(), rank, world);
        return slice(part.from(), part.to());
    }
}
