package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.text.EncodedText;
import java.util.Arrays;
import java.util.List;

/** Lays encoded texts and their images end to end, one segment each, with positions from 0. */
final class Sequences {
    private Sequences() {}

    /**
     * @param images pixels of each text's images in their order, {@code 3 * side * side} each
     * @throws IllegalArgumentException if a text has another number of images than there are pixels of
     */
    static Batch batch(List<EncodedText> texts, List<List<float[]>> images, int tokensPerImage, int side) {
        int tokens = Math.toIntExact(
                texts.stream().mapToLong(text -> text.length(tokensPerImage)).sum());
        int count = texts.stream().mapToInt(EncodedText::images).sum();
        int[] ids = new int[tokens];
        int[] labels = new int[tokens];
        int[] positions = new int[tokens];
        int[] starts = new int[texts.size() + 1];
        float[] all = new float[Math.multiplyExact(count, 3 * side * side)];
        int at = 0;
        int copied = 0;
        for (int s = 0; s < texts.size(); s++) {
            EncodedText text = texts.get(s);
            starts[s] = at;
            for (int i = 0; i < text.ids().length; i++) {
                boolean image = text.ids()[i] == EncodedText.IMAGE;
                int width = image ? tokensPerImage : 1;
                Arrays.fill(ids, at, at + width, image ? Batch.IMAGE : text.ids()[i]);
                Arrays.fill(labels, at, at + width, image ? Batch.IGNORE : text.labels()[i]);
                for (int k = 0; k < width; k++) {
                    positions[at + k] = at + k - starts[s];
                }
                at += width;
            }
            if (text.images() != images.get(s).size()) {
                throw new IllegalArgumentException("text " + s + " has " + text.images() + " places for images, but "
                        + images.get(s).size() + " images");
            }
            for (float[] image : images.get(s)) {
                System.arraycopy(image, 0, all, copied, image.length);
                copied += image.length;
            }
        }
        starts[texts.size()] = at;
        return new Batch(ids, labels, positions, starts, all, count, count == 0 ? 0 : side);
    }
}
