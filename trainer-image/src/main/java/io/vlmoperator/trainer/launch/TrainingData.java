package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.BatchSource;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.text.Tokenizer;
import io.vlmoperator.trainer.train.RowSource;
import io.vlmoperator.trainer.train.Trainer;

/**
 * The Datasets of a training job as rows.
 *
 * @param threads that decode images
 */
record TrainingData(Locations locations, int threads) implements Trainer.Data {
    /** Decoded samples are kept in at most this share of the Java heap. */
    private static final int CACHE_SHARE = 4;

    @Override
    public RowSource open(FrozenJob job, ModelConfig model, Tokenizer tokenizer) {
        BatchSource source = BatchSource.open(
                job,
                locations,
                tokenizer,
                model.vision().imageSize(),
                model.language().vocabSize(),
                new BatchSource.Resources(threads, Runtime.getRuntime().maxMemory() / CACHE_SHARE));
        return rows(source);
    }

    /** The rows of Datasets that are open already. */
    static RowSource rows(BatchSource source) {
        return new Rows(source);
    }

    private record Rows(BatchSource source) implements RowSource {
        @Override
        public long rows() {
            return source.rows();
        }

        @Override
        public long tokens() {
            return source.tokens();
        }

        @Override
        public Batch rows(long step, int from, int to) {
            return source.rows(step, from, to);
        }

        @Override
        public void close() {
            source.close();
        }
    }
}
