package io.vlmoperator.trainer.dist;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Adds floats to floats, by way of two arrays that stay in the nearest cache: over arrays the JIT compiler knows that nothing
 * overlaps and adds whole vectors, over native memory it does not. Used by one thread.
 */
final class FloatSum {
    private static final int CHUNK = 4096;

    private final float[] sums = new float[CHUNK];
    private final float[] addends = new float[CHUNK];

    /** Adds {@code addend} to {@code sum}, element by element; both of the same length. */
    void addInto(MemorySegment sum, MemorySegment addend) {
        long count = sum.byteSize() / Float.BYTES;
        for (long at = 0; at < count; at += CHUNK) {
            int length = (int) Math.min(CHUNK, count - at);
            MemorySegment.copy(sum, ValueLayout.JAVA_FLOAT_UNALIGNED, at * Float.BYTES, sums, 0, length);
            MemorySegment.copy(addend, ValueLayout.JAVA_FLOAT_UNALIGNED, at * Float.BYTES, addends, 0, length);
            add(sums, addends, length);
            MemorySegment.copy(sums, 0, sum, ValueLayout.JAVA_FLOAT_UNALIGNED, at * Float.BYTES, length);
        }
    }

    private static void add(float[] sums, float[] addends, int length) {
        for (int i = 0; i < length; i++) {
            sums[i] += addends[i];
        }
    }
}
