package io.vlmoperator.trainer.data;

import java.util.Arrays;
import java.util.function.LongConsumer;

/** A set of numbers in an open table of at most two thirds full: 12 to 24 bytes each. */
final class LongSet {
    private long[] table = new long[1 << 10];
    private int size;
    private boolean zero;

    /** Whether the number was not there before. */
    boolean add(long value) {
        if (value == 0) {
            boolean first = !zero;
            zero = true;
            return first;
        }
        if (3L * size >= 2L * table.length) {
            grow();
        }
        int at = place(table, value);
        if (table[at] == value) {
            return false;
        }
        table[at] = value;
        size++;
        return true;
    }

    int size() {
        return size + (zero ? 1 : 0);
    }

    /** Hands every number over, in no order. */
    void forEach(LongConsumer consumer) {
        if (zero) {
            consumer.accept(0);
        }
        Arrays.stream(table).filter(value -> value != 0).forEach(consumer);
    }

    private void grow() {
        long[] larger = new long[Math.multiplyExact(2, table.length)];
        Arrays.stream(table).filter(value -> value != 0).forEach(value -> larger[place(larger, value)] = value);
        table = larger;
    }

    private static int place(long[] table, long value) {
        int at = (int) Mix.of(value) & (table.length - 1);
        while (table[at] != 0 && table[at] != value) {
            at = (at + 1) & (table.length - 1);
        }
        return at;
    }
}
