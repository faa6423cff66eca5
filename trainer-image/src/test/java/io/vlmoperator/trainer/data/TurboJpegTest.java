package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Both JPEG decoders give the same bytes and the same complaints; skipped where libjpeg-turbo is not installed. */
class TurboJpegTest {
    @BeforeEach
    void found() {
        assumeThat(TurboJpeg.find())
                .as("libturbojpeg.so.0 (Debian: libturbojpeg0)")
                .isPresent();
    }

    /** Smooth with grain, so that all frequencies occur. */
    private static byte[] jpeg(int width, int height, int type, boolean progressive, float quality, long seed)
            throws IOException {
        BufferedImage image = new BufferedImage(width, height, type);
        Random random = new Random(seed);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int red = (int) (127 + 100 * Math.sin(x / 9.0 + seed) + random.nextInt(20));
                int green = (int) (127 + 100 * Math.cos(y / 7.0) + random.nextInt(20));
                int blue = (x * y + random.nextInt(40)) & 0xFF;
                image.setRGB(x, y, (red & 0xFF) << 16 | (green & 0xFF) << 8 | blue);
            }
        }
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageWriteParam how = writer.getDefaultWriteParam();
        how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
        how.setCompressionQuality(quality);
        how.setProgressiveMode(progressive ? ImageWriteParam.MODE_DEFAULT : ImageWriteParam.MODE_DISABLED);
        try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
            writer.setOutput(stream);
            writer.write(null, new IIOImage(image, null, null), how);
        } finally {
            writer.dispose();
        }
        return out.toByteArray();
    }

    @Test
    void equalBytesOfEveryKind() throws Exception {
        ImageDecoder plain = new ImageDecoder(Optional.empty());
        for (int type : new int[] {BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_BYTE_GRAY}) {
            for (boolean progressive : new boolean[] {false, true}) {
                for (int width : new int[] {1, 7, 16, 33, 200}) {
                    for (int height : new int[] {1, 8, 31, 150}) {
                        byte[] file = jpeg(width, height, type, progressive, 0.6f, width + height);
                        Optional<Pixels> turbo = TurboJpeg.find().orElseThrow().decode(file, width, height);
                        assertThat(turbo).isPresent();
                        assertThat(turbo.get().rgbHWC())
                                .as("%s x %s, type %s, progressive %s", width, height, type, progressive)
                                .isEqualTo(plain.decode(file).rgbHWC());
                        assertThat(new ImageDecoder().check(file)).isEqualTo(new ImageDecoder.Sides(width, height));
                    }
                }
            }
        }
    }

    @Test
    void damageIsAnsweredAsByTheOtherDecoder() throws Exception {
        byte[] good = jpeg(64, 48, BufferedImage.TYPE_INT_RGB, false, 0.8f, 3);
        ImageDecoder plain = new ImageDecoder(Optional.empty());
        ImageDecoder both = new ImageDecoder(TurboJpeg.find());
        Random random = new Random(11);
        for (int round = 0; round < 1_500; round++) {
            byte[] bytes = round % 4 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
            for (int i = 0; i < 1 + round % 3 && bytes.length > 0; i++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            assertThat(answer(both, bytes)).as("round %s", round).isEqualTo(answer(plain, bytes));
        }
    }

    /** What is not decoded in full is found damaged all the same. */
    @Test
    void aCheckAnswersAsDecodingDoes() throws Exception {
        ImageDecoder decoder = new ImageDecoder(TurboJpeg.find());
        Random random = new Random(12);
        for (boolean progressive : new boolean[] {false, true}) {
            byte[] good = jpeg(72, 50, BufferedImage.TYPE_INT_RGB, progressive, 0.8f, 4);
            int refused = 0;
            for (int round = 0; round < 1_000; round++) {
                byte[] bytes = round % 4 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
                for (int i = 0; i < 1 + round % 3 && bytes.length > 0; i++) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
                }
                boolean whole = sides(bytes)
                        .map(sides -> TurboJpeg.find().orElseThrow().isWhole(bytes, sides.width(), sides.height()))
                        .orElse(false);
                boolean decoded = sides(bytes)
                        .map(sides -> TurboJpeg.find()
                                .orElseThrow()
                                .decode(bytes, sides.width(), sides.height())
                                .isPresent())
                        .orElse(false);
                assertThat(whole)
                        .as("round %s, progressive %s", round, progressive)
                        .isEqualTo(decoded);
                String answer = answer(decoder, bytes);
                refused += answer.contains(" x ") ? 0 : 1;
                assertThat(check(decoder, bytes))
                        .as("round %s, progressive %s", round, progressive)
                        .isEqualTo(answer);
            }
            assertThat(refused).isBetween(100, 999);
        }
    }

    private static Optional<ImageDecoder.Sides> sides(byte[] file) {
        try {
            ImageHeader header = ImageHeader.read(file);
            boolean small = (long) header.width() * header.height() < 1 << 20;
            return small ? Optional.of(new ImageDecoder.Sides(header.width(), header.height())) : Optional.empty();
        } catch (RejectedException e) {
            return Optional.empty();
        }
    }

    private static String check(ImageDecoder decoder, byte[] file) {
        try {
            ImageDecoder.Sides sides = decoder.check(file);
            return sides.width() + " x " + sides.height();
        } catch (RejectedException e) {
            return e.reason().name();
        }
    }

    private static String answer(ImageDecoder decoder, byte[] file) {
        try {
            Pixels pixels = decoder.decode(file);
            // Not the pixels: coefficients that no encoder writes overflow differently in vector code.
            return pixels.width() + " x " + pixels.height();
        } catch (RejectedException e) {
            return e.reason().name();
        }
    }

    @Test
    void manyThreadsAtOnce() throws Exception {
        byte[] file = jpeg(120, 90, BufferedImage.TYPE_INT_RGB, false, 0.8f, 5);
        byte[] want = new ImageDecoder(Optional.empty()).decode(file).rgbHWC();
        ImageDecoder decoder = new ImageDecoder();
        IntStream.range(0, 400).parallel().forEach(i -> {
            try {
                assertThat(decoder.decode(file).rgbHWC()).isEqualTo(want);
            } catch (RejectedException e) {
                throw new AssertionError(e);
            }
        });
    }
}
