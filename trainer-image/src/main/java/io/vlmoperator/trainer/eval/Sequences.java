package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.text.EncodedText;
import java.util.Arrays;
import java.util.List;

/** Lays encoded texts and their images end to end, one segment each, with positions from 0. */
final class Sequences {
    private Sequences() {}

    /**
     * @param texts at most one image each
     * @param pixels of each text's image, {@code 3 * side * side}; not read where the text has none
     */
    static Batch batch(List<EncodedText> texts, List<float[]> pixels, int tokensPerImage, int side) {
        int tokens = Math.toIntExact(
                texts.stream().mapToLong(text -> text.length(tokensPerImage)).sum());
        int images = texts.stream().mapToInt(EncodedText::images).sum();
        int[] ids = new int[tokens];
        int[] labels = new int[tokens];
        int[] positions = new int[tokens];
        int[] starts = new int[texts.size() + 1];
        float[] all = new float[Math.multiplyExact(images, 3 * side * side)];
        int at = 0;
        int copied = 0;
        for (int s = 0; s < texts.size(); s++) {
            EncodedText text = texts.get(s);
            starts[s] = at;
            for (int i = 0; i < text.ids().length; i++) {
                boolean image = text.ids()[i] == EncodedText.IMAGE;
                int count = image ? tokensPerImage : 1;
                Arrays.fill(ids, at, at + count, image ? Batch.IMAGE : text.ids()[i]);
                Arrays.fill(labels, at, at + count, image ? Batch.IGNORE : text.labels()[i]);
                for (int k = 0; k < count; k++) {
                    positions[at + k] = at + k - starts[s];
                }
                at += count;
            }
            if (text.images() > 0) {
                float[] image = pixels.get(s);
                System.arraycopy(image, 0, all, copied, image.length);
                copied += image.length;
            }
        }
        starts[texts.size()] = at;
        return new Batch(ids, labels, positions, starts, all, images, images == 0 ? 0 : side);
    }
}
