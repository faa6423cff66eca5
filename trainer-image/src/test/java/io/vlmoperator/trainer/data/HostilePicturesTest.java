package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Small files that ask for much memory or time, and names that no file can have: refused one by one, the rest goes on. */
class HostilePicturesTest {
    private static RejectedException refusal(byte[] picture) {
        // Without libjpeg-turbo: what that one refuses comes here, too.
        ImageDecoder decoder = new ImageDecoder(Optional.empty());
        return catchThrowableOfType(RejectedException.class, () -> decoder.decode(picture));
    }

    /** One line of 64 Mi pixels of 64 bits is half a gibibyte. */
    @Test
    void aPngOfOneEndlessLine() throws IOException {
        byte[] png = TestData.png(2, 2, 1);
        ByteBuffer header = ByteBuffer.wrap(png);
        header.putInt(16, 64 << 20).putInt(20, 1);
        png[24] = 16;
        png[25] = 6;
        CRC32 crc = new CRC32();
        crc.update(png, 12, 17);
        header.putInt(29, (int) crc.getValue());
        RejectedException refused = refusal(png);
        assertThat(refused.reason()).isEqualTo(RejectReason.ImageTooLarge);
        assertThat(refused).hasMessageContaining("67108864 x 1");
    }

    /** The picture is small, its first frame is not. */
    @Test
    void aGifWithAFrameLargerThanItself() throws IOException {
        byte[] gif = TestData.picture(4, 4, 1, "gif");
        int frame = 13 + 3 * (2 << (gif[10] & 7));
        while (gif[frame] == 0x21) { // extensions before the frame
            frame += 2;
            while (gif[frame] != 0) {
                frame += 1 + (gif[frame] & 0xFF);
            }
            frame++;
        }
        assertThat(gif[frame]).isEqualTo((byte) 0x2C);
        for (int side : new int[] {frame + 5, frame + 7}) {
            gif[side] = (byte) 0x40; // 40,000
            gif[side + 1] = (byte) 0x9C;
        }
        RejectedException refused = refusal(gif);
        assertThat(refused.reason()).isEqualTo(RejectReason.ImageTooLarge);
        assertThat(refused).hasMessageContaining("40000 x 40000");
    }

    /** Each scan walks over the whole picture and needs but a few bytes. */
    @Test
    void aJpegOfManyScans() throws IOException {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
            ImageWriteParam progressive = writer.getDefaultWriteParam();
            progressive.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
            writer.setOutput(stream);
            writer.write(
                    null,
                    new IIOImage(ImageIO.read(new ByteArrayInputStream(TestData.png(16, 16, 1))), null, null),
                    progressive);
        } finally {
            writer.dispose();
        }
        byte[] whole = out.toByteArray();
        assertThat(refusal(whole)).isNull();
        int last = whole.length - 2;
        while (whole[last] != (byte) 0xFF || whole[last + 1] != (byte) 0xDA) {
            last--;
        }
        ByteArrayOutputStream many = new ByteArrayOutputStream();
        many.write(whole, 0, last);
        for (int i = 0; i < 600; i++) {
            many.write(whole, last, whole.length - 2 - last);
        }
        many.write(whole, whole.length - 2, 2);
        RejectedException refused = refusal(many.toByteArray());
        assertThat(refused.reason()).isEqualTo(RejectReason.ImageUndecodable);
        assertThat(refused).hasMessageContaining("scans");
    }

    /** What the file system says to such names is about the sample, not about the storage. */
    @Test
    void namesThatNoFileCanHave(@TempDir Path folder) throws IOException {
        Files.write(folder.resolve("0.png"), TestData.png(2, 2, 1));
        Files.createSymbolicLink(folder.resolve("loop.png"), Path.of("loop.png"));
        for (String name : Arrays.asList("a".repeat(300), "b/".repeat(3000) + "c.png", "0.png/1.png", "loop.png")) {
            RejectedException refused =
                    catchThrowableOfType(RejectedException.class, () -> ImageFolder.read(Optional.of(folder), name));
            assertThat(refused).as(name).isNotNull();
            assertThat(refused.reason()).isEqualTo(RejectReason.ImageMissing);
            assertThat(refused.getMessage().length()).isLessThan(500);
        }
    }
}
