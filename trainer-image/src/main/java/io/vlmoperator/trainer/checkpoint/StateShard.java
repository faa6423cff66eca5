package io.vlmoperator.trainer.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A range of the flat buffers of trained weights with its moments: what one rank is responsible for. A rank may own several.
 *
 * <p>Memory may be that of a GPU ({@link io.vlmoperator.trainer.op.Tensor#address()}): a {@link Staging} is what is read.
 *
 * @param from first element of the range in the flat buffer of all trained weights
 * @param weights FLOAT32 of this range: the master weights
 * @param first first moments, the same length
 * @param second second moments, the same length
 */
public record StateShard(long from, MemorySegment weights, MemorySegment first, MemorySegment second) {
    public StateShard {
        if (from < 0
                || weights.byteSize() % Float.BYTES != 0
                || first.byteSize() != weights.byteSize()
                || second.byteSize() != weights.byteSize()) {
            throw new IllegalArgumentException("a range from " + from + " with " + weights.byteSize()
                    + " bytes of weights and " + first.byteSize() + " and " + second.byteSize() + " of moments");
        }
    }

    /** Number of weights. */
    public long count() {
        return weights.byteSize() / Float.BYTES;
    }

    /** Element behind the last one. */
    public long to() {
        return from + count();
    }

    /**
     * The share of a rank where every rank holds everything: one of {@code world} nearly equal ranges.
     *
     * @param weights all trained weights, flat FLOAT32
     * @param first all first moments
     * @param second all second moments
     */
    public static List<StateShard> share(
            MemorySegment weights, MemorySegment first, MemorySegment second, int rank, int world) {
        long count = weights.byteSize() / Float.BYTES;
        long from = start(count, rank, world) * Float.BYTES;
        long bytes = start(count, rank + 1, world) * Float.BYTES - from;
        return List.of(new StateShard(
                from / Float.BYTES,
                weights.asSlice(from, bytes),
                first.asSlice(from, bytes),
                second.asSlice(from, bytes)));
    }

    private static long start(long count, int rank, int world) {
        return Math.multiplyExact(count, (long) rank) / world;
    }
}
