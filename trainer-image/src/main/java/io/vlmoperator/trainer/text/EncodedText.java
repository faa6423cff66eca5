package io.vlmoperator.trainer.text;

import java.util.Arrays;

/**
 * Tokens of one sample before its images are expanded.
 *
 * @param ids token ids; {@value #IMAGE} stands for one whole image
 * @param labels the id where the token is a target, {@value #IGNORE} elsewhere; unshifted, same length as {@code ids}
 */
public record EncodedText(int[] ids, int[] labels) {
    /** Id that stands for an image; it is in no vocabulary. */
    public static final int IMAGE = -200;
    /** Label of a position that is no target. */
    public static final int IGNORE = -100;

    public EncodedText {
        if (ids.length != labels.length) {
            throw new IllegalArgumentException(ids.length + " ids but " + labels.length + " labels");
        }
    }

    /** Number of images. */
    public int images() {
        return (int) Arrays.stream(ids).filter(id -> id == IMAGE).count();
    }

    /** Number of text tokens. */
    public int textTokens() {
        return ids.length - images();
    }

    /** Positions in a row once every image stands for so many tokens. */
    public long length(int tokensPerImage) {
        int images = images();
        return ids.length - images + (long) images * tokensPerImage;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EncodedText that && Arrays.equals(ids, that.ids) && Arrays.equals(labels, that.labels);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(ids) + Arrays.hashCode(labels);
    }

    @Override
    public String toString() {
        return "EncodedText[ids=" + Arrays.toString(ids) + ", labels=" + Arrays.toString(labels) + "]";
    }
}
