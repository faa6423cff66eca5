package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.model.Batch;

/** Rows of training data in their order: the same rows for the same step, whatever the number of workers. Used by one thread. */
public interface RowSource extends AutoCloseable {
    /** Rows of one epoch. */
    long rows();

    /** Tokens of one epoch, visual and text, to turn a number of tokens into steps. */
    long tokens();

    /**
     * Some rows of one global batch as a micro-batch.
     *
     * @param step from 0 on
     * @param from first row, 0 to the global batch size
     * @param to behind the last row
     */
    Batch rows(long step, int from, int to);

    @Override
    void close();
}
