package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against Pillow 12.3: RGB pixels, the 384 x 384 resize and the normalised tensor, by digest. */
class ImagesTest {
    private static final Path IMAGES = Path.of("src/test/resources/images");
    private static final ObjectMapper JSON = new ObjectMapper();
    private final ImageDecoder decoder = new ImageDecoder();

    @Test
    void everyPictureAsPillowSeesIt() throws Exception {
        int checked = 0;
        for (String line : Files.readAllLines(IMAGES.resolve("cases.jsonl"))) {
            JsonNode row = JSON.readTree(line);
            String file = row.get("file").asText();
            byte[] data = Files.readAllBytes(IMAGES.resolve("good").resolve(file));
            if (file.endsWith(".webp")) {
                RejectedException refused = catchThrowableOfType(
                        RejectedException.class,
                        () -> new ImageDecoder(Optional.empty(), Optional.empty()).decode(data));
                assertThat(refused.reason()).isEqualTo(RejectReason.ImageUnsupported);
                assertThat(refused).hasMessageContaining("libwebp.so.7");
                if (WebP.find().isEmpty()) {
                    continue; // WebPTest is counted as skipped
                }
            }
            Pixels image = decoder.decode(data);
            assertThat(image.width() + "x" + image.height())
                    .as(file)
                    .isEqualTo(
                            row.get("width").asText() + "x" + row.get("height").asText());
            assertThat(sha(image.rgbHWC()))
                    .as("pixels of %s", file)
                    .isEqualTo(row.get("rgb_sha256").asText());
            Pixels small = Bicubic.resize(image, 384, 384);
            assertThat(sha(small.rgbHWC()))
                    .as("resized %s", file)
                    .isEqualTo(row.get("resized_sha256").asText());
            float[] tensor = new float[3 * 384 * 384];
            Normalize.toCHW(small, tensor, 0);
            ByteBuffer bytes = ByteBuffer.allocate(4 * tensor.length).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(tensor);
            assertThat(sha(bytes.array()))
                    .as("tensor of %s", file)
                    .isEqualTo(row.get("tensor_sha256_float32_little_endian").asText());
            checked++;
        }
        assertThat(checked).isGreaterThan(30);
    }

    @Test
    void bareResizeOnOddShapes() throws Exception {
        ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(IMAGES.resolve("resize_arrays.safetensors")))
                .order(ByteOrder.LITTLE_ENDIAN);
        int header = (int) file.getLong(0);
        JsonNode tensors = JSON.readTree(new String(file.array(), 8, header, StandardCharsets.UTF_8));
        int checked = 0;
        for (int i = 0; tensors.has(i + ".input"); i++) {
            byte[] in = tensor(file, header, tensors.get(i + ".input"));
            byte[] want = tensor(file, header, tensors.get(i + ".output"));
            JsonNode from = tensors.get(i + ".input").get("shape");
            JsonNode to = tensors.get(i + ".output").get("shape");
            Pixels got = Bicubic.resize(
                    new Pixels(from.get(1).asInt(), from.get(0).asInt(), in),
                    to.get(1).asInt(),
                    to.get(0).asInt());
            assertThat(Arrays.equals(got.rgbHWC(), want))
                    .as("array %s: %s -> %s", i, from, to)
                    .isTrue();
            checked++;
        }
        assertThat(checked).isEqualTo(8);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            truncated.jpg    | ImageUndecodable | cut
            header_only.jpg  | ImageUndecodable | JPEG
            zero_bytes.jpg   | ImageUndecodable | no bytes
            text.jpg         | ImageUndecodable | no known format
            html.jpg         | ImageUndecodable | no known format
            bomb.png         | ImageTooLarge    | 60000 x 60000
            bomb_warning.png | ImageTooLarge    | 11000 x 11000
            truncated.png    | ImageUndecodable | cut
            corrupt_data.png | ImageUndecodable | checksum
            three_bytes.jpg  | ImageUndecodable | JPEG
            zeros.jpg        | ImageUndecodable | no known format
            """)
    void malformedFilesAreNamed(String file, RejectReason reason, String detail) throws IOException {
        byte[] data = Files.readAllBytes(IMAGES.resolve("bad").resolve(file));
        assertThatThrownBy(() -> decoder.decode(data))
                .isInstanceOfSatisfying(
                        RejectedException.class, e -> assertThat(e.reason()).isEqualTo(reason))
                .hasMessageContaining(detail);
    }

    @Test
    void damageNeverEscapesAsAnotherException() throws IOException {
        Random random = new Random(5);
        for (String file : new String[] {
            "png_interlaced.png",
            "png_palette.png",
            "png_gray16.png",
            "jpeg_420.jpg",
            "jpeg_progressive.jpg",
            "jpeg_cmyk_plain.jpg",
            "gif_first_frame.gif"
        }) {
            byte[] good = Files.readAllBytes(IMAGES.resolve("good").resolve(file));
            for (int i = 0; i < 150; i++) {
                byte[] bad = i % 3 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
                for (int k = 0; k < (i % 3 == 0 ? 0 : 1 + random.nextInt(8)) && bad.length > 0; k++) {
                    bad[random.nextInt(i % 2 == 0 ? bad.length : Math.min(60, bad.length))] =
                            (byte) random.nextInt(256);
                }
                try {
                    decoder.decode(bad);
                } catch (RejectedException e) {
                    assertThat(e.getMessage()).as(file).isNotEmpty();
                }
            }
        }
    }

    private static byte[] tensor(ByteBuffer file, int header, JsonNode entry) {
        assertThat(entry.get("dtype").asText()).isEqualTo("U8");
        int from = entry.get("data_offsets").get(0).asInt();
        int to = entry.get("data_offsets").get(1).asInt();
        return Arrays.copyOfRange(file.array(), 8 + header + from, 8 + header + to);
    }

    private static String sha(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }
}
