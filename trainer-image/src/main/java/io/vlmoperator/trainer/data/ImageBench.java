package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;

/** The image path on one thread, tar to normalised numbers: what {@code make bench-images} measures beside {@code src/bench/peers/bench_images.py}. */
public final class ImageBench {
    private static final int SIDE = 384;

    private ImageBench() {}

    /**
     * What was measured.
     *
     * @param decoder of JPEG: {@code libjpeg-turbo} or {@code JDK}
     * @param imagesPerCpuSecond median of the passes, by the thread's processor time
     * @param digest of all resized pictures' bytes, in order
     */
    public record Result(String decoder, int images, double imagesPerCpuSecond, String digest) {}

    /**
     * One pass to warm up and take the digest, then the measured ones.
     *
     * @param turbo whether libjpeg-turbo is used where it is found
     * @throws IOException when the tar can't be read, or a picture in it
     */
    public static Result run(Path tar, int passes, boolean turbo) throws IOException {
        Optional<TurboJpeg> library = turbo ? TurboJpeg.find() : Optional.empty();
        ImageDecoder decoder = new ImageDecoder(library);
        MessageDigest digest = Digests.sha256();
        int images = pass(tar, decoder, Optional.of(digest));
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        double[] rates = new double[passes];
        for (int p = 0; p < passes; p++) {
            long start = threads.getCurrentThreadCpuTime();
            pass(tar, decoder, Optional.empty());
            rates[p] = images * 1e9 / (threads.getCurrentThreadCpuTime() - start);
        }
        Arrays.sort(rates);
        return new Result(
                library.isPresent() ? "libjpeg-turbo" : "JDK",
                images,
                rates[passes / 2],
                HexFormat.of().formatHex(digest.digest()));
    }

    private static int pass(Path tar, ImageDecoder decoder, Optional<MessageDigest> digest) throws IOException {
        float[] chw = new float[3 * SIDE * SIDE];
        int images = 0;
        try (FileChannel channel = FileChannel.open(tar)) {
            TarReader reader = new TarReader(channel);
            for (Optional<TarReader.Member> next = reader.next(); next.isPresent(); next = reader.next()) {
                if (!next.get().name().toLowerCase(Locale.ROOT).endsWith(".jpg")) {
                    continue;
                }
                byte[] file = Storage.read(
                        channel, next.get().offset(), (int) next.get().size());
                Pixels small = Bicubic.resize(decoder.decode(file), SIDE, SIDE);
                Normalize.toCHW(small, chw, 0);
                digest.ifPresent(d -> d.update(small.rgbHWC()));
                images++;
            }
        } catch (RejectedException e) {
            throw new IOException(tar + ": " + e.reason() + ": " + e.getMessage(), e);
        }
        if (images == 0) {
            throw new IOException(tar + " holds no .jpg");
        }
        return images;
    }
}
