package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.text.EncodedText;
import java.util.ArrayList;
import java.util.List;

/**
 * From samples to one micro-batch: every image becomes its visual tokens, samples lie end to end without padding.
 *
 * <p>Isolated: each sample is a segment of its own, positions restart, and its first token is no target, because nothing comes before it.
 * Causal: each row is a segment, positions run on, and the first token of a later sample is a target of the one before (the paper's mode).
 */
public final class RowAssembler {
    private RowAssembler() {}

    /**
     * @param texts samples in the order of the rows
     * @param rows number of the row of each sample, ascending
     * @param causal whether attention is causal over the whole row
     * @param tokensPerImage visual tokens of one image
     * @param pixels of all images in their order, handed over
     * @param images number of images
     * @param imageSize side of an image
     */
    public static Batch assemble(
            List<EncodedText> texts,
            int[] rows,
            boolean causal,
            int tokensPerImage,
            float[] pixels,
            int images,
            int imageSize) {
        int total = 0;
        for (EncodedText text : texts) {
            total = Math.addExact(total, Math.toIntExact(text.length(tokensPerImage)));
        }
        int[] ids = new int[total];
        int[] labels = new int[total];
        int[] positions = new int[total];
        List<Integer> starts = new ArrayList<>();
        int at = 0;
        int start = 0;
        for (int s = 0; s < texts.size(); s++) {
            if (!causal || s == 0 || rows[s] != rows[s - 1]) {
                start = at;
                starts.add(start);
            }
            EncodedText text = texts.get(s);
            for (int i = 0; i < text.ids().length; i++) {
                boolean image = text.ids()[i] == EncodedText.IMAGE;
                for (int k = 0; k < (image ? tokensPerImage : 1); k++, at++) {
                    ids[at] = image ? Batch.IMAGE : text.ids()[i];
                    boolean ignored = image || (!causal && at == start);
                    labels[at] = ignored ? Batch.IGNORE : text.labels()[i];
                    positions[at] = at - start;
                }
            }
        }
        starts.add(total);
        int[] segments = starts.stream().mapToInt(Integer::intValue).toArray();
        return new Batch(ids, labels, positions, segments, pixels, images, images == 0 ? 0 : imageSize);
    }
}
