package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Augment;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import javax.imageio.ImageIO;

/**
 * Images per second of processor time on one thread, by stage; a program, not a test. Results stand in {@code src/docs/performance.md}. Pictures are smooth
 * with grain, so that they compress like photographs.
 */
public final class ImageSpeed {
    private static final double SECONDS = 3;
    private static double sink;

    private ImageSpeed() {}

    /** One line per kind of picture. */
    public static void main(String[] arguments) throws Exception {
        measure("64 px PNG to 64 px", pictures(64, 64, "png"), 64);
        measure("64 px PNG to 384 px", pictures(64, 64, "png"), 384);
        measure("683 x 512 JPEG to 384 px", pictures(683, 512, "jpeg"), 384);
        measure("683 x 512 PNG to 384 px", pictures(683, 512, "png"), 384);
    }

    private static void measure(String what, List<byte[]> files, int side) throws Exception {
        ImageDecoder decoder = new ImageDecoder();
        List<Pixels> decoded = new ArrayList<>();
        for (byte[] file : files) {
            decoded.add(decoder.decode(file));
        }
        Augmenter augmenter = new Augmenter(new Augment(0.1, 0.15, 0.2, 0.3, 0.5, 0.1));
        float[] out = new float[3 * side * side];
        double decode =
                rate(i -> sink += decoder.decode(files.get(i % files.size())).width());
        double resize = rate(i -> sink +=
                Bicubic.resize(decoded.get(i % files.size()), side, side).rgbHWC()[0]);
        Pixels small = Bicubic.resize(decoded.getFirst(), side, side);
        double normalise = rate(i -> Normalize.toCHW(small, out, 0));
        double augment = rate(i -> augmenter.toCHW(small, i, out, 0));
        double whole = rate(i ->
                Normalize.toCHW(Bicubic.resize(decoder.decode(files.get(i % files.size())), side, side), out, 0));
        System.out.printf(
                Locale.ROOT,
                "%-26s %5.0f kB: %7.0f img/s (decode %.0f, resize %.0f, normalise %.0f; augment instead %.0f)%n",
                what,
                files.getFirst().length / 1e3,
                whole,
                decode,
                resize,
                normalise,
                augment);
    }

    private interface Work {
        void run(int i) throws Exception;
    }

    /** Processor time of this thread: other work on the machine does not count. */
    private static long cpu() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static double rate(Work work) throws Exception {
        double best = 0;
        for (int round = 0; round < 3; round++) {
            long start = cpu();
            int done = 0;
            while (cpu() - start < SECONDS / 3 * 1e9) {
                work.run(done++);
            }
            best = Math.max(best, done * 1e9 / (cpu() - start));
        }
        return best;
    }

    private static List<byte[]> pictures(int width, int height, String format) throws IOException {
        List<byte[]> files = new ArrayList<>();
        for (int n = 0; n < 8; n++) {
            Random random = new Random(n);
            BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
            double a = random.nextDouble() / 20;
            double b = random.nextDouble() / 20;
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    int grain = random.nextInt(9) - 4;
                    int red = (int) (128 + 90 * Math.sin(a * x + b * y)) + grain;
                    int green = (int) (128 + 90 * Math.sin(b * x - a * y)) + grain;
                    int blue = (int) (128 + 90 * Math.cos(a * x * b * y)) + grain;
                    image.setRGB(x, y, red << 16 | green << 8 | blue);
                }
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ImageIO.write(image, format, out);
            files.add(out.toByteArray());
        }
        return files;
    }
}
