package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;

/** From an image file to what the vision encoder takes: decode, squash to a square, normalise. Safe for use by several threads. */
public final class ImageLoader {
    private final ImageDecoder decoder = new ImageDecoder();

    /**
     * The normalised picture, {@code 3 * side * side} floats, channels first.
     *
     * @throws TrainerException InvalidData, with what is wrong, when the file is no picture that is read
     */
    public float[] read(byte[] file, int side) {
        try {
            float[] out = new float[3 * side * side];
            Normalize.toCHW(pixels(file, side), out, 0);
            return out;
        } catch (RejectedException e) {
            throw new TrainerException(ExitCode.InvalidData, e.reason() + ": " + e.getMessage(), e);
        }
    }

    /** The picture at its model size, before it is normalised. */
    Pixels pixels(byte[] file, int side) throws RejectedException {
        return Bicubic.resize(decoder.decode(file), side, side);
    }
}
