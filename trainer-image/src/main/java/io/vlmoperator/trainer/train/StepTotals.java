package io.vlmoperator.trainer.train;

import java.nio.ByteBuffer;

/**
 * What the ranks tell each other when gradients have been summed. Added up in rank order, so all ranks hold the same bits.
 *
 * @param lossSum of all targets
 * @param targets their number
 * @param meanSum sum of the micro-batches' mean losses
 * @param microBatches their number
 * @param tokens visual and text
 * @param squares sum of the squares of the summed gradients that the rank owns
 * @param stop some rank has to end; this step is not finished
 * @param save somebody asked for a checkpoint after this step
 */
record StepTotals(
        double lossSum,
        long targets,
        double meanSum,
        long microBatches,
        long tokens,
        double squares,
        boolean stop,
        boolean save) {
    private static final int BYTES = 8 * 6 + 2;

    static final StepTotals ZERO = new StepTotals(0, 0, 0, 0, 0, 0, false, false);

    byte[] encode() {
        return ByteBuffer.allocate(BYTES)
                .putDouble(lossSum)
                .putLong(targets)
                .putDouble(meanSum)
                .putLong(microBatches)
                .putLong(tokens)
                .putDouble(squares)
                .put((byte) (stop ? 1 : 0))
                .put((byte) (save ? 1 : 0))
                .array();
    }

    static StepTotals sum(byte[][] encoded) {
        StepTotals sum = ZERO;
        for (byte[] bytes : encoded) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            sum = sum.plus(new StepTotals(
                    in.getDouble(),
                    in.getLong(),
                    in.getDouble(),
                    in.getLong(),
                    in.getLong(),
                    in.getDouble(),
                    in.get() != 0,
                    in.get() != 0));
        }
        return sum;
    }

    StepTotals withSquares(double sum) {
        return new StepTotals(lossSum, targets, meanSum, microBatches, tokens, sum, stop, save);
    }

    StepTotals plus(StepTotals other) {
        return new StepTotals(
                lossSum + other.lossSum,
                targets + other.targets,
                meanSum + other.meanSum,
                microBatches + other.microBatches,
                tokens + other.tokens,
                squares + other.squares,
                stop || other.stop,
                save || other.save);
    }
}
