package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Pack;
import java.util.Arrays;

/**
 * Makes rows of samples that come in order. What is handed on is a function of the samples' lengths, their order and the places where shards
 * end.
 */
interface Packer {
    /** Receives rows in the order in which they count. */
    interface Rows {
        /**
         * @param samples of the row in their order, in the first {@code count} places; valid during the call
         */
        void row(int[] samples, int count);
    }

    /**
     * @param length tokens, visual ones included; at least 1
     */
    void add(int sample, int length);

    /** The last sample was its shard's last. */
    void shardEnds();

    /** No further sample comes. */
    void finish();

    /** The packer of an algorithm. */
    static Packer of(Pack.Algorithm algorithm, int capacity, Rows rows) {
        return switch (algorithm) {
            case FirstFitDecreasing -> new Groups(capacity, rows);
            case Streaming -> new StreamingPacker(capacity, rows);
            case None -> new OneEach(rows);
        };
    }

    /** Every sample a row of its own. */
    record OneEach(Rows rows) implements Packer {
        @Override
        public void add(int sample, int length) {
            rows.row(new int[] {sample}, 1);
        }

        @Override
        public void shardEnds() {}

        @Override
        public void finish() {}
    }

    /**
     * First-fit-decreasing over whole shards, at least {@value #SAMPLES} samples at a time (the paper packs tar by tar), so that a row is read
     * from few places.
     */
    final class Groups implements Packer {
        static final int SAMPLES = 10_000;

        private final int capacity;
        private final Rows rows;
        private int[] samples = new int[1024];
        private int[] lengths = new int[1024];
        private int pending;

        private Groups(int capacity, Rows rows) {
            this.capacity = capacity;
            this.rows = rows;
        }

        @Override
        public void add(int sample, int length) {
            if (pending == samples.length) {
                samples = Arrays.copyOf(samples, 2 * pending);
                lengths = Arrays.copyOf(lengths, 2 * pending);
            }
            samples[pending] = sample;
            lengths[pending++] = length;
        }

        @Override
        public void shardEnds() {
            if (pending >= SAMPLES) {
                finish();
            }
        }

        @Override
        public void finish() {
            Packing.Result result = Packing.firstFitDecreasing(Arrays.copyOf(lengths, pending), capacity);
            // The samples of each row side by side, in the order of their placement.
            int[] ends = new int[result.rows() + 1];
            for (int row : result.rowOf()) {
                ends[row + 1]++;
            }
            for (int r = 0; r < result.rows(); r++) {
                ends[r + 1] += ends[r];
            }
            int[] next = ends.clone();
            int[] placed = new int[pending];
            for (int k = 0; k < pending; k++) {
                placed[next[result.rowOf()[k]]++] = samples[result.order()[k]];
            }
            for (int r = 0; r < result.rows(); r++) {
                rows.row(Arrays.copyOfRange(placed, ends[r], ends[r + 1]), ends[r + 1] - ends[r]);
            }
            pending = 0;
        }
    }
}
