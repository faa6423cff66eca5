package io.vlmoperator.trainer.data;

/** JPEG samples of one line to RGB, with libjpeg's integer rules and Pillow's for CMYK. */
final class JpegColour {
    private static final int HALF = 1 << 15;
    private static final int[] RED_OF_CR = new int[256];
    private static final int[] BLUE_OF_CB = new int[256];
    private static final int[] GREEN_OF_CR = new int[256];
    private static final int[] GREEN_OF_CB = new int[256];

    static {
        for (int i = 0; i < 256; i++) {
            int x = i - 128;
            RED_OF_CR[i] = (fix(1.40200) * x + HALF) >> 16;
            BLUE_OF_CB[i] = (fix(1.77200) * x + HALF) >> 16;
            GREEN_OF_CR[i] = -fix(0.71414) * x;
            GREEN_OF_CB[i] = -fix(0.34414) * x + HALF;
        }
    }

    private JpegColour() {}

    private static int fix(double x) {
        return (int) (x * (1 << 16) + 0.5);
    }

    static void gray(int[] row, byte[] rgb, int out) {
        for (int in = 0; in < row.length; in++, out += 3) {
            rgb[out] = rgb[out + 1] = rgb[out + 2] = (byte) row[in];
        }
    }

    static void rgb(int[] row, byte[] rgb, int out) {
        for (int in = 0; in < row.length; in++, out++) {
            rgb[out] = (byte) row[in];
        }
    }

    static void ycc(int[] row, byte[] rgb, int out) {
        for (int in = 0; in < row.length; in += 3, out += 3) {
            int y = row[in];
            int cb = row[in + 1];
            int cr = row[in + 2];
            rgb[out] = (byte) clip(y + RED_OF_CR[cr]);
            rgb[out + 1] = (byte) clip(y + ((GREEN_OF_CB[cb] + GREEN_OF_CR[cr]) >> 16));
            rgb[out + 2] = (byte) clip(y + BLUE_OF_CB[cb]);
        }
    }

    static void cmyk(int[] row, byte[] rgb, int out) {
        for (int in = 0; in < row.length; in += 4, out += 3) {
            ink(255 - row[in], 255 - row[in + 1], 255 - row[in + 2], 255 - row[in + 3], rgb, out);
        }
    }

    /** libjpeg makes CMYK of it by inverting the RGB; Pillow inverts that again. */
    static void ycck(int[] row, byte[] rgb, int out) {
        for (int in = 0; in < row.length; in += 4, out += 3) {
            int y = row[in];
            int cb = row[in + 1];
            int cr = row[in + 2];
            ink(
                    clip(y + RED_OF_CR[cr]),
                    clip(y + ((GREEN_OF_CB[cb] + GREEN_OF_CR[cr]) >> 16)),
                    clip(y + BLUE_OF_CB[cb]),
                    255 - row[in + 3],
                    rgb,
                    out);
        }
    }

    private static void ink(int c, int m, int y, int k, byte[] rgb, int out) {
        int paper = 255 - k;
        rgb[out] = (byte) clip(paper - scaled(c, paper));
        rgb[out + 1] = (byte) clip(paper - scaled(m, paper));
        rgb[out + 2] = (byte) clip(paper - scaled(y, paper));
    }

    /** a * b / 255, rounded. */
    private static int scaled(int a, int b) {
        int t = a * b + 128;
        return (t + (t >> 8)) >> 8;
    }

    private static int clip(int x) {
        return Math.max(0, Math.min(255, x));
    }
}
