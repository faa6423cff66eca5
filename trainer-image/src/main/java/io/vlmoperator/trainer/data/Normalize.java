package io.vlmoperator.trainer.data;

/** 8-bit RGB to the floats that the vision encoder takes: {@code (x / 255 - 0.5) / 0.5} in float32, channels first. */
public final class Normalize {
    private static final float[] TABLE = new float[256];

    static {
        for (int i = 0; i < 256; i++) {
            TABLE[i] = (i / 255f - 0.5f) / 0.5f;
        }
    }

    private Normalize() {}

    /** Writes {@code 3 * height * width} floats into {@code out} from {@code at} on. */
    public static void toCHW(Pixels image, float[] out, int at) {
        byte[] rgb = image.rgbHWC();
        int plane = image.width() * image.height();
        for (int p = 0, i = 0; p < plane; p++, i += 3) {
            out[at + p] = TABLE[rgb[i] & 0xFF];
            out[at + plane + p] = TABLE[rgb[i + 1] & 0xFF];
            out[at + 2 * plane + p] = TABLE[rgb[i + 2] & 0xFF];
        }
    }
}
