package io.vlmoperator.trainer.data;

import java.util.Arrays;

/**
 * Pillow's bicubic resize with antialiasing, equal to it byte for byte (Pillow up to 12.3: columns first, then rows, 8-bit values between,
 * weights of 22 bits; an axis that keeps its length is skipped). The aspect is not kept. The weights of one pair of lengths are computed
 * once per call.
 */
public final class Bicubic {
    private static final int BITS = 22;

    private Bicubic() {}

    /** The picture at another size; the very same object when the size is the same. */
    public static Pixels resize(Pixels image, int width, int height) {
        if (image.width() == width && image.height() == height) {
            return image;
        }
        byte[] pixels = image.rgbHWC();
        if (image.width() != width) {
            pixels = columns(pixels, image.width(), image.height(), new Weights(image.width(), width));
        }
        if (image.height() != height) {
            pixels = rows(pixels, width, new Weights(image.height(), height));
        }
        return new Pixels(width, height, pixels);
    }

    private static byte[] columns(byte[] in, int width, int height, Weights weights) {
        int wide = weights.outputs();
        byte[] out = new byte[Math.multiplyExact(3 * wide, height)];
        for (int y = 0; y < height; y++) {
            int line = 3 * width * y;
            int o = 3 * wide * y;
            for (int x = 0; x < wide; x++, o += 3) {
                int first = weights.first[x];
                int count = weights.count[x];
                int w = x * weights.stride;
                int r = 1 << (BITS - 1);
                int g = r;
                int b = r;
                int i = line + 3 * first;
                for (int k = 0; k < count; k++, i += 3) {
                    int weight = weights.values[w + k];
                    r += (in[i] & 0xFF) * weight;
                    g += (in[i + 1] & 0xFF) * weight;
                    b += (in[i + 2] & 0xFF) * weight;
                }
                out[o] = clip(r);
                out[o + 1] = clip(g);
                out[o + 2] = clip(b);
            }
        }
        return out;
    }

    private static byte[] rows(byte[] in, int width, Weights weights) {
        int line = 3 * width;
        byte[] out = new byte[Math.multiplyExact(line, weights.outputs())];
        int[] sums = new int[line];
        for (int y = 0; y < weights.outputs(); y++) {
            Arrays.fill(sums, 1 << (BITS - 1));
            for (int k = 0; k < weights.count[y]; k++) {
                int weight = weights.values[y * weights.stride + k];
                int i = (weights.first[y] + k) * line;
                for (int x = 0; x < line; x++) {
                    sums[x] += (in[i + x] & 0xFF) * weight;
                }
            }
            for (int x = 0; x < line; x++) {
                out[y * line + x] = clip(sums[x]);
            }
        }
        return out;
    }

    private static byte clip(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> BITS));
    }

    /** For each output: the first input, how many, and their weights in 22 bits. */
    private static final class Weights {
        final int[] first;
        final int[] count;
        final int[] values;
        final int stride;

        Weights(int n, int m) {
            double scale = (double) n / m;
            double stretch = Math.max(scale, 1.0);
            double reach = 2.0 * stretch;
            stride = (int) Math.ceil(reach) * 2 + 1;
            first = new int[m];
            count = new int[m];
            values = new int[Math.multiplyExact(m, stride)];
            double[] exact = new double[stride];
            for (int i = 0; i < m; i++) {
                double centre = (i + 0.5) * scale;
                int from = Math.max(0, (int) (centre - reach + 0.5));
                int to = Math.min(n, (int) (centre + reach + 0.5));
                double total = 0;
                for (int j = from; j < to; j++) {
                    exact[j - from] = cubic((j - centre + 0.5) * (1.0 / stretch));
                    total += exact[j - from];
                }
                for (int j = 0; j < to - from; j++) {
                    double w = exact[j] / total;
                    values[i * stride + j] = (int) (w * (1 << BITS) + (w >= 0 ? 0.5 : -0.5));
                }
                first[i] = from;
                count[i] = to - from;
            }
        }

        int outputs() {
            return first.length;
        }

        private static double cubic(double x) {
            double a = Math.abs(x);
            if (a < 1.0) {
                return (1.5 * a - 2.5) * a * a + 1;
            }
            return a < 2.0 ? ((-0.5 * a + 2.5) * a - 4) * a + 2 : 0.0;
        }
    }
}
