package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** WebP by libwebp; skipped where it is not installed. That the pixels are Pillow's is checked by {@link ImagesTest}. */
class WebPTest {
    private static final Path IMAGES = Path.of("src/test/resources/images");

    private final ImageDecoder decoder = new ImageDecoder();

    @BeforeEach
    void found() {
        assumeThat(WebP.find()).as("libwebp.so.7 (Debian: libwebp7)").isPresent();
    }

    private static byte[] good(String name) throws IOException {
        return Files.readAllBytes(IMAGES.resolve("good").resolve(name));
    }

    @Test
    void cutAnimatedAndLargeOnesAreNamed() throws IOException {
        byte[] cut = Files.readAllBytes(IMAGES.resolve("bad/truncated.webp"));
        assertThatThrownBy(() -> decoder.decode(cut))
                .isInstanceOfSatisfying(
                        RejectedException.class, e -> assertThat(e.reason()).isEqualTo(RejectReason.ImageUndecodable))
                .hasMessageContaining("WebP");
        byte[] extended = new byte[40];
        System.arraycopy(
                "RIFF\0\0\0\0WEBPVP8X".getBytes(java.nio.charset.StandardCharsets.US_ASCII), 0, extended, 0, 16);
        extended[20] = 2;
        assertThatThrownBy(() -> decoder.decode(extended)).hasMessageContaining("animated");
        extended[20] = 0;
        Arrays.fill(extended, 24, 30, (byte) 0xFF);
        assertThatThrownBy(() -> decoder.decode(extended))
                .isInstanceOfSatisfying(
                        RejectedException.class, e -> assertThat(e.reason()).isEqualTo(RejectReason.ImageTooLarge));
        extended[15] = '?';
        assertThatThrownBy(() -> decoder.decode(extended)).hasMessageContaining("without a picture");
    }

    @Test
    void damageNeverEscapesAsAnotherException() throws IOException {
        Random random = new Random(7);
        for (String file : new String[] {"webp_lossy.webp", "webp_lossless_alpha.webp"}) {
            byte[] good = good(file);
            for (int i = 0; i < 400; i++) {
                byte[] bad = i % 3 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
                for (int k = 0; k < (i % 3 == 0 ? 0 : 1 + random.nextInt(8)) && bad.length > 0; k++) {
                    bad[random.nextInt(i % 2 == 0 ? bad.length : Math.min(40, bad.length))] =
                            (byte) random.nextInt(256);
                }
                try {
                    Pixels pixels = decoder.decode(bad);
                    assertThat(pixels.rgbHWC()).hasSize(3 * pixels.width() * pixels.height());
                } catch (RejectedException e) {
                    assertThat(e.getMessage()).as(file).isNotEmpty();
                }
            }
        }
    }

    @Test
    void manyThreadsAtOnce() throws Exception {
        byte[] file = good("webp_lossy.webp");
        byte[] want = decoder.decode(file).rgbHWC();
        IntStream.range(0, 200).parallel().forEach(i -> {
            try {
                assertThat(decoder.decode(file).rgbHWC()).isEqualTo(want);
            } catch (RejectedException e) {
                throw new AssertionError(e);
            }
        });
    }
}
