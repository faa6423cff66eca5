package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import javax.imageio.ImageIO;

/** Small tars, pictures and specs. */
final class TestData {
    static final Path TOKENIZER = Path.of("src/test/resources/tokenizer").toAbsolutePath();

    private TestData() {}

    /** A tar under construction. */
    static final class Tar {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Tar file(String name, byte[] content) {
            return member(name, '0', content);
        }

        Tar file(String name, String content) {
            return file(name, content.getBytes(StandardCharsets.UTF_8));
        }

        Tar sample(String key, byte[] image, String caption) {
            return file(key + ".png", image).file(key + ".txt", caption);
        }

        Tar member(String name, char type, byte[] content) {
            out.writeBytes(header(name, type, Long.toOctalString(content.length), content.length));
            out.writeBytes(content);
            out.writeBytes(new byte[(512 - content.length % 512) % 512]);
            return this;
        }

        Tar raw(byte[] bytes) {
            out.writeBytes(bytes);
            return this;
        }

        static byte[] header(String name, char type, String size, long ignored) {
            byte[] block = new byte[512];
            put(block, 0, name.getBytes(StandardCharsets.UTF_8), 100);
            put(block, 100, "0000644\0".getBytes(StandardCharsets.US_ASCII), 8);
            put(block, 124, size.getBytes(StandardCharsets.ISO_8859_1), 12);
            block[156] = (byte) type;
            put(block, 257, "ustar\00000".getBytes(StandardCharsets.US_ASCII), 8);
            return checksum(block);
        }

        static byte[] checksum(byte[] block) {
            java.util.Arrays.fill(block, 148, 156, (byte) ' ');
            int sum = 0;
            for (byte b : block) {
                sum += b & 0xFF;
            }
            put(block, 148, "%06o\0 ".formatted(sum).getBytes(StandardCharsets.US_ASCII), 8);
            return block;
        }

        private static void put(byte[] block, int at, byte[] text, int room) {
            System.arraycopy(text, 0, block, at, Math.min(room, text.length));
        }

        byte[] bytes() {
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.writeBytes(out.toByteArray());
            whole.writeBytes(new byte[1024]);
            return whole.toByteArray();
        }

        byte[] withoutEnd() {
            return out.toByteArray();
        }
    }

    static byte[] png(int width, int height, long seed) {
        return picture(width, height, seed, "png");
    }

    static byte[] picture(int width, int height, long seed, String format) {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        Random random = new Random(seed);
        int base = random.nextInt(0x1000000);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                image.setRGB(x, y, base ^ (x * 7 + y * 13 << 2) ^ random.nextInt(8));
            }
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, format, out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    /** The picture with each pixel repeated, so that it is a square of that side. */
    static byte[] scaled(byte[] picture, int side) {
        try {
            BufferedImage small = ImageIO.read(new java.io.ByteArrayInputStream(picture));
            BufferedImage large = new BufferedImage(side, side, BufferedImage.TYPE_INT_RGB);
            for (int y = 0; y < side; y++) {
                for (int x = 0; x < side; x++) {
                    large.setRGB(x, y, small.getRGB(x * small.getWidth() / side, y * small.getHeight() / side));
                }
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ImageIO.write(large, "png", out);
            return out.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A folder per claim under {@code root}, with the small tokenizer as claim "tok". */
    static Locations locations(Path root) {
        return Locations.of(
                Map.of("data", folder(root.resolve("data")), "out", folder(root.resolve("out")), "tok", TOKENIZER));
    }

    static Path folder(Path path) {
        try {
            return Files.createDirectories(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Makes the Dataset. */
    static DatasetSummary build(DatasetSpec spec, Locations locations) {
        return new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone())
                .build((done, total) -> {})
                .orElseThrow();
    }

    static DatasetSpec captions(String location, int context, int tokensPerImage) {
        return spec(
                new Source("pairs", new Source.WebDataset(location), null, null, null),
                context,
                tokensPerImage,
                new Reject(null, null, 30, null, null, 0.9));
    }

    static DatasetSpec conversations(String location, String images, int context, int tokensPerImage) {
        return spec(
                new Source("talks", null, null, new Source.Conversations(location, images), null),
                context,
                tokensPerImage,
                new Reject(null, null, null, null, null, 0.9));
    }

    static DatasetSpec spec(Source source, int context, int tokensPerImage, Reject reject) {
        return new DatasetSpec(
                List.of(source),
                null,
                reject,
                new Pack(context, tokensPerImage, null, "pvc://tok/small"),
                new DatasetSpec.Output("pvc://out/" + source.name(), null, null),
                null,
                null,
                null,
                null);
    }
}
