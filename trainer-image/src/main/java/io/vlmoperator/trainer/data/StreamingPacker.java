package io.vlmoperator.trainer.data;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Packs a stream through a window of {@value #WINDOW} samples. A row begins with the oldest samples of the window, so none waits longer than
 * the window is wide; once about three average samples are missing, it is closed with the one, two or three samples of the window that
 * fill it best. Among thousands of lengths there is nearly always an exact fit, which first-fit-decreasing can't find: it reaches the
 * short, nearly equal samples last. Memory and the work for a row are bounded by the window.
 */
final class StreamingPacker implements Packer {
    static final int WINDOW = 4096;
    /** So many first members of a closing triple are tried. */
    private static final int TRIES = 64;

    private final int capacity;
    private final Rows rows;

    private final int[] samples = new int[WINDOW];
    private final int[] lengths = new int[WINDOW];
    // The window in order of arrival, as a list over slots; NONE ends it.
    private final int[] older = new int[WINDOW];
    private final int[] younger = new int[WINDOW];
    private int oldest = NONE;
    private int youngest = NONE;
    private final int[] free = new int[WINDOW];
    private int freeCount = WINDOW;
    // For each length the slots that have it, oldest first.
    private final int[] first;
    private final int[] last;
    private final int[] sameLength = new int[WINDOW];
    private final int[] count;
    private final BitSet present = new BitSet();
    private long total;

    private int[] row = new int[64];
    private int rowCount;

    private static final int NONE = -1;

    StreamingPacker(int capacity, Rows rows) {
        this.capacity = capacity;
        this.rows = rows;
        first = new int[capacity + 1];
        last = new int[capacity + 1];
        count = new int[capacity + 1];
        Arrays.fill(first, NONE);
        Arrays.fill(last, NONE);
        Arrays.setAll(free, i -> i);
    }

    @Override
    public void add(int sample, int length) {
        if (length < 1) {
            throw new IllegalArgumentException("sample " + sample + " has length " + length);
        }
        if (length > capacity) {
            rows.row(new int[] {sample}, 1); // never cut: a row of its own, as in first-fit-decreasing
            return;
        }
        if (freeCount == 0) {
            emit();
        }
        int slot = free[--freeCount];
        samples[slot] = sample;
        lengths[slot] = length;
        older[slot] = youngest;
        younger[slot] = NONE;
        if (youngest == NONE) {
            oldest = slot;
        } else {
            younger[youngest] = slot;
        }
        youngest = slot;
        sameLength[slot] = NONE;
        if (first[length] == NONE) {
            first[length] = slot;
            present.set(length);
        } else {
            sameLength[last[length]] = slot;
        }
        last[length] = slot;
        count[length]++;
        total += length;
    }

    @Override
    public void shardEnds() {}

    @Override
    public void finish() {
        while (oldest != NONE) {
            emit();
        }
    }

    private void emit() {
        rowCount = 0;
        int room = capacity;
        long closing = 3 * Math.ceilDiv(total, WINDOW - freeCount);
        while (oldest != NONE && (rowCount == 0 || room - lengths[oldest] >= closing)) {
            room -= lengths[oldest];
            take(lengths[oldest]);
        }
        int[] best = new int[3];
        while (room > 0 && !present.isEmpty() && present.nextSetBit(0) <= room) {
            closest(room, best);
            for (int length : best) {
                if (length > 0) {
                    room -= length;
                    take(length);
                }
            }
        }
        rows.row(row, rowCount);
    }

    /** Takes the oldest sample of a length into the row. Of all slots with this length it is also the first in the window's order. */
    private void take(int length) {
        int slot = first[length];
        first[length] = sameLength[slot];
        if (first[length] == NONE) {
            last[length] = NONE;
            present.clear(length);
        }
        count[length]--;
        total -= length;
        if (older[slot] == NONE) {
            oldest = younger[slot];
        } else {
            younger[older[slot]] = younger[slot];
        }
        if (younger[slot] == NONE) {
            youngest = older[slot];
        } else {
            older[younger[slot]] = older[slot];
        }
        free[freeCount++] = slot;
        if (rowCount == row.length) {
            row = Arrays.copyOf(row, 2 * rowCount);
        }
        row[rowCount++] = samples[slot];
    }

    /** One to three lengths of the window whose sum comes closest to {@code room} from below; there is at least one. */
    private void closest(int room, int[] best) {
        int one = present.previousSetBit(room);
        int sum = one;
        set(best, one, 0, 0);
        if (sum == room) {
            return;
        }
        sum = pair(room, 0, sum, best);
        int tries = 0;
        int tried = NONE;
        for (int slot = oldest; sum < room && slot != NONE && tries < TRIES; slot = younger[slot]) {
            int length = lengths[slot];
            if (length != tried && length < room) {
                tried = length;
                tries++;
                sum = pair(room, length, sum, best);
            }
        }
    }

    /** The best pair beside {@code fixed} (0: none); returns the sum that {@code best} then has. */
    private int pair(int room, int fixed, int known, int[] best) {
        int sum = known;
        int rest = room - fixed;
        int low = present.nextSetBit(0);
        int high = present.previousSetBit(rest);
        while (low >= 0 && high >= low && sum < room) {
            int both = low + high;
            if (both > rest) {
                high = high == 0 ? NONE : present.previousSetBit(high - 1);
                continue;
            }
            if (fixed + both > sum && enough(fixed, low, high)) {
                sum = fixed + both;
                set(best, fixed, low, high);
            }
            low = present.nextSetBit(low + 1);
        }
        return sum;
    }

    /** Whether the window has as many samples of these lengths as they ask for. */
    private boolean enough(int a, int b, int c) {
        int ofB = 1 + (a == b ? 1 : 0) + (c == b ? 1 : 0);
        int ofC = 1 + (a == c ? 1 : 0) + (b == c ? 1 : 0);
        return count[b] >= ofB && count[c] >= ofC;
    }

    private static void set(int[] best, int a, int b, int c) {
        best[0] = a;
        best[1] = b;
        best[2] = c;
    }
}
