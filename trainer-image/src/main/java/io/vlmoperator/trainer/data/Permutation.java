package io.vlmoperator.trainer.data;

/**
 * A permutation of 0 .. n-1 that needs no table: a Feistel network of eight rounds over the next larger square of bits, walked until the
 * value falls inside. Any position is found at once, so resuming is a number.
 */
final class Permutation {
    private static final int ROUNDS = 8;

    private final long size;
    private final int half;
    private final long mask;
    private final long[] keys = new long[ROUNDS];

    Permutation(long size, long key) {
        if (size < 1) {
            throw new IllegalArgumentException("a permutation of " + size);
        }
        this.size = size;
        int bits = Math.max(2, 64 - Long.numberOfLeadingZeros(size - 1));
        half = (bits + 1) / 2;
        mask = (1L << half) - 1;
        for (int r = 0; r < ROUNDS; r++) {
            keys[r] = Mix.of(key, r);
        }
    }

    long at(long position) {
        if (position < 0 || position >= size) {
            throw new IndexOutOfBoundsException(position + " of " + size);
        }
        long value = position;
        do {
            long left = value >>> half;
            long right = value & mask;
            for (long key : keys) {
                long next = left ^ (Mix.of(key, right) & mask);
                left = right;
                right = next;
            }
            value = left << half | right;
        } while (value >= size);
        return value;
    }
}
