package io.vlmoperator.trainer.data;

import java.util.Arrays;

/**
 * First-fit-decreasing (paper, algorithm 1): samples by length, longest first and equal ones in file order; each goes to the first row with
 * room. A tree over the rows' free room finds that row in O(log n). A sample longer than the capacity gets a row of its own, to which nothing
 * is added.
 */
public final class Packing {
    private Packing() {}

    /**
     * Which sample lies where.
     *
     * @param order the samples in order of placement
     * @param rowOf row of {@code order[i]}
     * @param rows number of rows
     */
    @SuppressWarnings("ArrayRecordComponent") // millions of numbers, read once
    public record Result(int[] order, int[] rowOf, int rows) {}

    /**
     * Packs samples of these lengths.
     *
     * @param lengths in file order, each at least 1
     * @param capacity of a row
     */
    public static Result firstFitDecreasing(int[] lengths, int capacity) {
        int n = lengths.length;
        long[] keys = new long[n];
        for (int i = 0; i < n; i++) {
            if (lengths[i] < 1) {
                throw new IllegalArgumentException("sample " + i + " has length " + lengths[i]);
            }
            keys[i] = (long) (Integer.MAX_VALUE - lengths[i]) << 32 | i;
        }
        Arrays.sort(keys);
        int leaves = Math.max(1, Integer.highestOneBit(Math.max(1, n - 1)) << 1);
        // free[leaves + r] is the room of row r; an inner node holds the larger of its children. Rows not opened yet
        // are empty.
        int[] free = new int[2 * leaves];
        Arrays.fill(free, capacity);
        int[] order = new int[n];
        int[] rowOf = new int[n];
        int rows = 0;
        for (int k = 0; k < n; k++) {
            int sample = (int) keys[k];
            int length = lengths[sample];
            int row;
            if (length > capacity) {
                row = rows; // the longest come first, so only full rows lie before it
                set(free, leaves, row, 0);
            } else {
                int node = 1;
                while (node < leaves) {
                    node = free[2 * node] >= length ? 2 * node : 2 * node + 1;
                }
                row = node - leaves;
                set(free, leaves, row, free[node] - length);
            }
            rows = Math.max(rows, row + 1);
            order[k] = sample;
            rowOf[k] = row;
        }
        return new Result(order, rowOf, rows);
    }

    /** Every sample a row of its own, in order. */
    static Result oneEach(int samples) {
        int[] numbers = new int[samples];
        Arrays.setAll(numbers, i -> i);
        return new Result(numbers, numbers.clone(), samples);
    }

    private static void set(int[] free, int leaves, int row, int room) {
        int node = leaves + row;
        free[node] = room;
        for (node >>= 1; node >= 1; node >>= 1) {
            free[node] = Math.max(free[2 * node], free[2 * node + 1]);
        }
    }
}
