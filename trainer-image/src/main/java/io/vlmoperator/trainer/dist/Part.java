package io.vlmoperator.trainer.dist;

/**
 * What belongs to one rank of a number of elements.
 *
 * @param from first element
 * @param to element behind the last one
 */
public record Part(long from, long to) {
    /** Equal parts are a multiple of so many elements, so that they begin where vectors can be loaded (16 bytes of FLOAT32). */
    private static final long MULTIPLE = 4;

    /**
     * The rule of all implementations: {@code world} equal parts, the largest that are a multiple of {@value #MULTIPLE} elements. What is left over,
     * less than {@value #MULTIPLE} elements a rank, belongs to the last rank.
     */
    public static Part of(long count, int rank, int world) {
        long equal = count / world / MULTIPLE * MULTIPLE;
        return new Part(equal * rank, rank == world - 1 ? count : equal * (rank + 1));
    }

    /** Number of elements. */
    public long count() {
        return to - from;
    }

    /** The same elements, counted from {@code elements} further ahead. */
    public Part plus(long elements) {
        return new Part(from + elements, to + elements);
    }
}
