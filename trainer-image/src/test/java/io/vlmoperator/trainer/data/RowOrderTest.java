package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.data.RowOrder.Row;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Order of rows of made-up lengths: fine-tuning's groups and what each worker gets of them. */
class RowOrderTest {
    private record Made(int[] lengths, String digest) implements RowOrder.Table {
        static Made of(long seed, int rows) {
            Random random = new Random(seed);
            int[] lengths = random.ints(rows, 0, 1).toArray();
            for (int i = 0; i < rows; i++) {
                lengths[i] = (int) Math.min(4096, Math.exp(5 + random.nextGaussian()));
            }
            return new Made(lengths, "sha256:" + seed);
        }

        @Override
        public int rows() {
            return lengths.length;
        }

        @Override
        public int rowLength(int row) {
            return lengths[row];
        }

        /** Every fifth row is text alone. */
        @Override
        public boolean hasImages(int row) {
            return row % 5 != 0;
        }
    }

    private static List<Row> batch(RowOrder order, long step, int size) {
        return order.rows(step, 0, size);
    }

    @Property(tries = 40)
    void groupsHoldTheSameRowsAndAreCutAnywhere(
            @ForAll long seed,
            @ForAll @IntRange(min = 1, max = 40) int size,
            @ForAll @IntRange(min = 1, max = 3) int weight) {
        List<Made> tables = List.of(Made.of(seed, 700), Made.of(~seed, 90));
        int[] weights = {1, weight};
        RowOrder grouped = new RowOrder(tables, weights, seed, size, true, false);
        RowOrder plain = new RowOrder(tables, weights, seed, size, false, false);
        Map<Row, Integer> counts = new HashMap<>();
        for (long step = 0; step < RowOrder.WINDOW; step++) {
            batch(grouped, step, size).forEach(row -> counts.merge(row, 1, Integer::sum));
            batch(plain, step, size).forEach(row -> counts.merge(row, -1, Integer::sum));
        }
        assertThat(counts.values()).allMatch(n -> n == 0);
        // Any worker, any micro-batch, taken up anywhere: parts of the same batch.
        RowOrder again = new RowOrder(tables, weights, seed, size, true, false);
        for (long step : new long[] {RowOrder.WINDOW + 3, 1, 0}) {
            List<Row> whole = batch(grouped, step, size);
            for (int world = 1; world <= Math.min(8, size); world++) {
                List<Row> parts = new ArrayList<>();
                for (int rank = 0; rank < world; rank++) {
                    parts.addAll(again.rows(step, size * rank / world, size * (rank + 1) / world));
                }
                assertThat(parts).isEqualTo(whole);
            }
        }
    }

    @Property(tries = 40, seed = "20") // averages: a few long rows can weigh more than all others
    void noWorkerGetsTheLongRowsAlone(@ForAll long seed, @ForAll @IntRange(min = 2, max = 8) int world) {
        int size = 16 * world;
        Made table = Made.of(seed, 20_000);
        RowOrder order = new RowOrder(List.of(table), new int[] {1}, seed, size, true, false);
        double worst = 0;
        double sorted = 0;
        for (long step = 0; step < RowOrder.WINDOW; step++) {
            List<Row> rows = batch(order, step, size);
            int[] lengths =
                    rows.stream().mapToInt(row -> table.rowLength(row.row())).toArray();
            worst += imbalance(lengths, world);
            java.util.Arrays.sort(lengths);
            sorted += imbalance(lengths, world);
        }
        // The slowest worker's tokens over the mean, summed over batches: what waiting for it costs.
        assertThat(worst - RowOrder.WINDOW).isLessThan(0.75 * (sorted - RowOrder.WINDOW));
        assertThat(worst / RowOrder.WINDOW).isLessThan(1.1);
    }

    private static double imbalance(int[] lengths, int world) {
        long most = 0;
        long all = 0;
        for (int rank = 0; rank < world; rank++) {
            long own = 0;
            for (int i = lengths.length * rank / world; i < lengths.length * (rank + 1) / world; i++) {
                own += lengths[i];
            }
            most = Math.max(most, own);
            all += own;
        }
        return (double) most * world / all;
    }

    @Property(tries = 40)
    void theLongestBatchOfTheEpochComesFirst(
            @ForAll long seed, @ForAll @IntRange(min = 1, max = 12) int size, @ForAll boolean grouped) {
        Made table = Made.of(seed, 300);
        RowOrder plain = new RowOrder(List.of(table), new int[] {1}, seed, size, grouped, false);
        RowOrder first = new RowOrder(List.of(table), new int[] {1}, seed, size, grouped, true);
        int batches = Math.ceilDiv(300, size);
        List<List<Row>> expected = new ArrayList<>();
        int longest = 0;
        for (int step = 0; step < batches; step++) {
            expected.add(batch(plain, step, size));
            longest = tokens(table, expected.get(step)) > tokens(table, expected.get(longest)) ? step : longest;
        }
        java.util.Collections.swap(expected, 0, longest);
        for (int step = 0; step < batches; step++) {
            assertThat(batch(first, step, size)).isEqualTo(expected.get(step));
        }
        assertThat(batch(first, batches, size)).isEqualTo(batch(plain, batches, size));
    }

    private static long tokens(Made table, List<Row> rows) {
        return rows.stream().mapToLong(row -> table.rowLength(row.row())).sum();
    }

    @Property(tries = 200)
    void theSpreadIsAPermutation(@ForAll @IntRange(min = 1, max = 3000) int count) {
        int[] order = RowOrder.spread(count);
        assertThat(java.util.Arrays.stream(order).sorted().toArray())
                .isEqualTo(java.util.stream.IntStream.range(0, count).toArray());
    }
}
