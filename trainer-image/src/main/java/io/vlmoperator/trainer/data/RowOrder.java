package io.vlmoperator.trainer.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Which row stands where: an endless stream of rows, cut into batches of one size. An epoch holds every row of a Dataset as often as its
 * weight says, in a permutation of its own; batches run on over the edge of an epoch, so none is smaller. Batch k depends on the seed, k, the
 * batch size and the Datasets' digests, and on nothing else.
 *
 * <p>With grouping, {@value #WINDOW} batches at a time are sorted by modality and length, cut into batches again, and these are shuffled: the
 * same rows as without, nearly the same order, but the rows of a batch are alike (LLaVA's grouping by length and modality). Inside a batch, rows stand
 * in van der Corput's order of their lengths: any run of them, and so what any worker and any micro-batch gets, holds short and long ones alike.
 *
 * <p>With {@code longestFirst} the batch of the first epoch with the most tokens changes places with batch 0.
 */
final class RowOrder {
    static final int WINDOW = 64;

    private final List<? extends Table> tables;
    private final int[] weights;
    private final long[] starts;
    private final long key;
    private final int batch;
    private final boolean grouped;
    /** Offsets in a sorted batch, in the order in which its rows stand. */
    private final int[] spread;
    /** Changes places with batch 0. */
    private final long longest;

    private Permutation permutation;
    private long permutationEpoch = -1;
    private List<Row> window = List.of();
    private long windowNumber = -1;

    /**
     * @param occurrence how often this row came before
     */
    record Row(int dataset, int row, long occurrence) {}

    /** The rows of a Dataset, as far as their order depends on them. */
    interface Table {
        int rows();

        /** Tokens of a row, visual ones included. */
        int rowLength(int row);

        boolean hasImages(int row);

        /** Of the Dataset. */
        String digest();
    }

    /**
     * @param grouped whether rows of a batch are alike
     * @param longestFirst whether the longest batch of the first epoch comes first; all of its rows are looked at
     */
    RowOrder(List<? extends Table> tables, int[] weights, long seed, int batch, boolean grouped, boolean longestFirst) {
        this.tables = tables;
        this.weights = weights;
        this.batch = batch;
        this.grouped = grouped;
        starts = new long[tables.size() + 1];
        StringBuilder digests = new StringBuilder();
        for (int d = 0; d < tables.size(); d++) {
            starts[d + 1] = starts[d] + Math.multiplyExact((long) tables.get(d).rows(), weights[d]);
            digests.append(tables.get(d).digest())
                    .append('*')
                    .append(weights[d])
                    .append('\n');
        }
        key = Mix.of(seed, batch, Digests.hash64(Digests.utf8(digests.toString())));
        spread = spread(batch);
        longest = longestFirst ? longest() : 0;
    }

    /** Rows of one epoch. */
    long epochRows() {
        return starts[starts.length - 1];
    }

    /** Rows [from, to) of a batch. */
    synchronized List<Row> rows(long step, int from, int to) {
        List<Row> rows = new ArrayList<>(to - from);
        for (int i = from; i < to; i++) {
            rows.add(place(step == 0 ? longest : step == longest ? 0 : step, i));
        }
        return rows;
    }

    private Row place(long step, int index) {
        return grouped ? groupedAt(step, index) : at(Math.addExact(Math.multiplyExact(step, batch), index));
    }

    private long longest() {
        long found = 0;
        long most = -1;
        for (long step = 0; step < Math.ceilDiv(epochRows(), batch); step++) {
            long tokens = 0;
            for (int i = 0; i < batch; i++) {
                Row row = place(step, i);
                tokens += tables.get(row.dataset()).rowLength(row.row());
            }
            if (tokens > most) {
                most = tokens;
                found = step;
            }
        }
        return found;
    }

    /** Van der Corput's sequence: the numbers below {@code count} by their bits read backwards. */
    static int[] spread(int count) {
        int bits = 32 - Integer.numberOfLeadingZeros(count - 1);
        int[] order = new int[count];
        for (int i = 0, at = 0; at < count; i++) {
            int value = bits == 0 ? 0 : Integer.reverse(i) >>> 32 - bits;
            if (value < count) {
                order[at++] = value;
            }
        }
        return order;
    }

    private Row at(long position) {
        long epoch = position / epochRows();
        if (epoch != permutationEpoch) {
            permutation = new Permutation(epochRows(), Mix.of(key, epoch));
            permutationEpoch = epoch;
        }
        long place = permutation.at(position % epochRows());
        int dataset = 0;
        while (place >= starts[dataset + 1]) {
            dataset++;
        }
        long inside = place - starts[dataset];
        int rows = tables.get(dataset).rows();
        return new Row(dataset, (int) (inside % rows), epoch * weights[dataset] + inside / rows);
    }

    private Row groupedAt(long step, int index) {
        long number = step / WINDOW;
        if (number != windowNumber) {
            window = window(number);
            windowNumber = number;
        }
        return window.get((int) (step % WINDOW) * batch + index);
    }

    private List<Row> window(long number) {
        int size = Math.multiplyExact(WINDOW, batch);
        Row[] rows = new Row[size];
        long first = Math.multiplyExact(number, size);
        for (int i = 0; i < size; i++) {
            rows[i] = at(first + i);
        }
        Arrays.sort(
                rows,
                Comparator.<Row>comparingInt(row -> tables.get(row.dataset()).hasImages(row.row()) ? 1 : 0)
                        .thenComparingInt(row -> tables.get(row.dataset()).rowLength(row.row())));
        Permutation order = new Permutation(WINDOW, Mix.of(key, ~number));
        List<Row> shuffled = new ArrayList<>(size);
        for (int b = 0; b < WINDOW; b++) {
            int from = (int) order.at(b) * batch;
            for (int offset : spread) {
                shuffled.add(rows[from + offset]);
            }
        }
        return shuffled;
    }
}
