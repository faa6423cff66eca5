package io.vlmoperator.trainer.model;

import java.util.stream.IntStream;

/**
 * One micro-batch: samples laid end to end, without padding. Attention is causal inside a segment and blind across; block-diagonal packing
 * has one segment per sample, the paper's mode one segment per row.
 *
 * <p>The arrays are not copied; whoever makes a batch hands them over.
 *
 * @param idsT token ids; {@link #IMAGE} at every visual token, that is tokens-per-image times for each image, images in order
 * @param labelsT the token itself where it is a target, {@link #IGNORE} elsewhere. Unshifted: the model scores position t - 1 against
 *     label t inside each segment, so the first token of a segment is nobody's target
 * @param positionsT rotary positions
 * @param segmentStarts ascending from 0; behind the last segment the number of tokens
 * @param pixelsNCHW normalised pixels of all images, {@code imageCount * 3 * imageSize * imageSize}
 * @param imageCount number of images
 * @param imageSize side of an image in pixels
 */
@SuppressWarnings("ArrayRecordComponent") // a boundary of plain arrays: no copies, no equality
public record Batch(
        int[] idsT,
        int[] labelsT,
        int[] positionsT,
        int[] segmentStarts,
        float[] pixelsNCHW,
        int imageCount,
        int imageSize) {
    /** The id at a visual token. */
    public static final int IMAGE = -200;

    /** The label of a position that is no target. */
    public static final int IGNORE = -100;

    public Batch {
        int tokens = idsT.length;
        require(tokens > 0, "a batch without tokens");
        require(
                labelsT.length == tokens && positionsT.length == tokens,
                "%d ids, but %d labels and %d positions",
                tokens,
                labelsT.length,
                positionsT.length);
        require(
                segmentStarts.length >= 2 && segmentStarts[0] == 0 && segmentStarts[segmentStarts.length - 1] == tokens,
                "segment starts must run from 0 to the number of tokens (%d)",
                tokens);
        for (int s = 1; s < segmentStarts.length; s++) {
            require(segmentStarts[s] > segmentStarts[s - 1], "segment %d is empty or runs backwards", s - 1);
        }
        for (int t = 0; t < tokens; t++) {
            require(idsT[t] >= 0 || idsT[t] == IMAGE, "id %d at token %d", idsT[t], t);
            require(labelsT[t] >= 0 || labelsT[t] == IGNORE, "label %d at token %d", labelsT[t], t);
            require(positionsT[t] >= 0, "position %d at token %d", positionsT[t], t);
        }
        require(imageCount >= 0 && imageSize >= 0, "%d images of side %d", imageCount, imageSize);
        long pixels = 3L * imageCount * imageSize * imageSize;
        require(
                pixelsNCHW.length == pixels,
                "%d pixel values, but %d images of side %d have %d",
                pixelsNCHW.length,
                imageCount,
                imageSize,
                pixels);
    }

    /** A batch without images. */
    public static Batch ofText(int[] idsT, int[] labelsT, int[] positionsT, int[] segmentStarts) {
        return new Batch(idsT, labelsT, positionsT, segmentStarts, new float[0], 0, 0);
    }

    /** Number of tokens, visual ones included. */
    public int tokens() {
        return idsT.length;
    }

    /** Number of segments. */
    public int segments() {
        return segmentStarts.length - 1;
    }

    /** Number of visual tokens. */
    public int visualTokens() {
        return (int) IntStream.of(idsT).filter(id -> id == IMAGE).count();
    }

    /** Number of positions that have a target: the denominator of a mean loss. */
    public int targets() {
        return targetPositions().length;
    }

    /** The positions t whose label is scored (by the hidden state at t - 1), ascending. */
    public int[] targetPositions() {
        return IntStream.range(0, segments())
                .flatMap(s -> IntStream.range(segmentStarts[s] + 1, segmentStarts[s + 1]))
                .filter(t -> labelsT[t] != IGNORE)
                .toArray();
    }

    private static void require(boolean holds, String message, Object... values) {
        if (!holds) {
            throw new IllegalArgumentException("batch: " + message.formatted(values));
        }
    }
}
