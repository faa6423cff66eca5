package io.vlmoperator.trainer.model;

import java.util.stream.IntStream;

/**
 * Where each token's embedding comes from: text embeddings and visual tokens are laid end to end, text first, and read in the order of the
 * tokens.
 *
 * @param textIds ids of the text tokens
 * @param order for each token its row among text embeddings and visual tokens
 */
@SuppressWarnings("ArrayRecordComponent")
record Splice(int[] textIds, int[] order) {
    static Splice of(Batch batch) {
        int[] textIds =
                IntStream.of(batch.idsT()).filter(id -> id != Batch.IMAGE).toArray();
        int[] order = new int[batch.tokens()];
        int text = 0;
        int visual = textIds.length;
        for (int t = 0; t < order.length; t++) {
            order[t] = batch.idsT()[t] == Batch.IMAGE ? visual++ : text++;
        }
        return new Splice(textIds, order);
    }
}
