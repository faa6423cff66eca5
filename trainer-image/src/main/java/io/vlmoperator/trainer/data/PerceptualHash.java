package io.vlmoperator.trainer.data;

/**
 * pHash: a 32 x 32 gray copy, its two-dimensional cosine transform (DCT-II), and of the 8 x 8 lowest frequencies one bit each: above the
 * median of the 64 or not. Pictures that were scaled or compressed anew keep most bits. (Zauner, Implementation and Benchmarking of
 * Perceptual Image Hash Functions, 2010; sizes as there, the lowest frequency of each direction left out.)
 */
final class PerceptualHash {
    private static final int SIDE = 32;
    private static final int LOW = 8;
    /** Smallest spread of the 64 coefficients; a difference of one shade between the halves makes hundreds. */
    private static final double FLAT = 1;

    private static final double[][] COSINES = cosines();

    private PerceptualHash() {}

    private static double[][] cosines() {
        double[][] rows = new double[LOW][SIDE];
        for (int u = 0; u < LOW; u++) {
            for (int x = 0; x < SIDE; x++) {
                rows[u][x] = Math.cos(Math.PI / SIDE * (x + 0.5) * (u + 1));
            }
        }
        return rows;
    }

    /** 64 bits. */
    static long of(Pixels image) {
        double[] gray = shrink(image);
        double[] half = new double[LOW * SIDE];
        for (int y = 0; y < SIDE; y++) {
            for (int u = 0; u < LOW; u++) {
                double sum = 0;
                for (int x = 0; x < SIDE; x++) {
                    sum += gray[y * SIDE + x] * COSINES[u][x];
                }
                half[u * SIDE + y] = sum;
            }
        }
        double[] low = new double[LOW * LOW];
        for (int v = 0; v < LOW; v++) {
            for (int u = 0; u < LOW; u++) {
                double sum = 0;
                for (int y = 0; y < SIDE; y++) {
                    sum += half[u * SIDE + y] * COSINES[v][y];
                }
                low[v * LOW + u] = sum;
            }
        }
        double[] sorted = low.clone();
        java.util.Arrays.sort(sorted);
        if (sorted[63] - sorted[0] < FLAT) {
            return Mix.of(Math.round(gray[0])); // one shade: all its frequencies are rounding errors
        }
        double median = (sorted[31] + sorted[32]) / 2;
        long bits = 0;
        for (int i = 0; i < low.length; i++) {
            bits |= low[i] > median ? 1L << i : 0;
        }
        return bits;
    }

    /** Means over areas, borders shared by their parts, of luma by ITU-R BT.601. */
    private static double[] shrink(Pixels image) {
        int width = image.width();
        int height = image.height();
        byte[] rgb = image.rgbHWC();
        double[] line = new double[width];
        double[] gray = new double[SIDE * SIDE];
        double[] narrow = new double[SIDE];
        for (int row = 0; row < height; row++) {
            for (int x = 0, at = 3 * row * width; x < width; x++, at += 3) {
                line[x] = 0.299 * (rgb[at] & 0xFF) + 0.587 * (rgb[at + 1] & 0xFF) + 0.114 * (rgb[at + 2] & 0xFF);
            }
            java.util.Arrays.fill(narrow, 0);
            for (int x = 0; x < width; x++) {
                spread(line[x], x, width, narrow, 0, 1);
            }
            for (int x = 0; x < SIDE; x++) {
                spread(narrow[x], row, height, gray, x, SIDE);
            }
        }
        return gray;
    }

    /** Adds a value to the cells that its place covers, by the covered share of each cell. */
    private static void spread(double value, int place, int places, double[] cells, int first, int stride) {
        double from = (double) place * SIDE / places;
        double to = (double) (place + 1) * SIDE / places;
        for (int cell = (int) from; cell < SIDE && cell < to; cell++) {
            cells[first + cell * stride] += value * (Math.min(to, cell + 1.0) - Math.max(from, cell));
        }
    }
}
