package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;

/** Samples of a finished Dataset, for people: as the model sees them. */
public final class SampleView implements AutoCloseable {
    private final Path folder;
    private final SampleTable table;
    private final SampleReader reader;

    /**
     * A sample.
     *
     * @param row of the plan, and {@code position} in it
     * @param shard location of the file it lies in
     * @param key as the index names it in the shard
     * @param length positions in the row, every image expanded to {@code tokensPerImage}
     * @param images files as they are
     * @param seen the same images at the model's size, as PNG files
     */
    public record Sample(
            int row,
            int position,
            String shard,
            String key,
            String uid,
            EncodedText text,
            long length,
            int tokensPerImage,
            List<byte[]> images,
            List<byte[]> seen) {}

    private SampleView(Path folder, SampleTable table, SampleReader reader) {
        this.folder = folder;
        this.table = table;
        this.reader = reader;
    }

    /**
     * @param folder of a finished Dataset
     * @param locations through which its shards are found
     * @param template of conversations
     * @throws TrainerException InvalidConfiguration when the folder is no Dataset or the tokenizer another one
     */
    public static SampleView open(Path folder, Locations locations, Tokenizer tokenizer, Template template) {
        DatasetManifest manifest = DatasetManifest.read(folder);
        if (!manifest.summary().tokenizerDigest().equals(tokenizer.digest())) {
            throw TrainerException.configuration("the Dataset in " + folder + " was made with another tokenizer ("
                    + manifest.summary().tokenizerDigest() + ") than " + tokenizer.name() + " (" + tokenizer.digest()
                    + ")");
        }
        return new SampleView(folder, SampleTable.open(folder, locations), new SampleReader(tokenizer, template));
    }

    /** Samples in all, each as often as it is selected. */
    public long size() {
        return table.manifest().summary().samples();
    }

    /**
     * The n-th sample in the order of the rows, from 0.
     *
     * @param side of the model's image in pixels
     * @throws TrainerException InvalidConfiguration when there is no such sample; InvalidData when it is no longer what was indexed
     */
    public Sample sample(long number, int side) {
        if (number < 0 || number >= size()) {
            throw TrainerException.configuration(
                    "there is no sample " + number + "; the Dataset has samples 0 to " + (size() - 1));
        }
        int row = table.rowOf(Math.toIntExact(number));
        int position = Math.toIntExact(number) - table.rowStart(row);
        int sample = table.row(row)[position];
        try {
            SampleReader.Raw raw = reader.read(table, sample);
            ImageLoader loader = new ImageLoader();
            List<byte[]> seen = new ArrayList<>();
            for (byte[] image : raw.images()) {
                seen.add(png(loader.pixels(image, side)));
            }
            String[] names = names(sample);
            int perImage = table.manifest().tokensPerImage();
            return new Sample(
                    row,
                    position,
                    table.entry(sample).shard(),
                    names[0],
                    names[1],
                    raw.text(),
                    raw.text().length(perImage),
                    perImage,
                    raw.images(),
                    seen);
        } catch (RejectedException e) {
            throw TrainerException.data(table.describe(sample) + ": " + e.reason() + ": " + e.getMessage());
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + table.describe(sample) + ": " + e.getMessage(), e);
        }
    }

    private String[] names(int sample) throws IOException {
        String[] names = new String[2];
        try (Duck duck = Duck.open(folder.resolve(".spill-view"))) {
            IndexFile.read(
                    duck,
                    folder.resolve(DatasetManifest.INDEX)
                            .resolve(table.entry(sample).file()),
                    List.of("key", "uid"),
                    "ordinal = " + table.ordinal(sample),
                    row -> {
                        names[0] = row.getString(1);
                        names[1] = row.getString(2);
                    });
        }
        return names;
    }

    /** File ending of an image that was indexed, such as {@code jpeg}. */
    public static String fileType(byte[] image) {
        try {
            return SampleRules.imageType(image);
        } catch (RejectedException e) {
            throw TrainerException.data(e.reason() + ": " + e.getMessage());
        }
    }

    private static byte[] png(Pixels pixels) {
        BufferedImage image = new BufferedImage(pixels.width(), pixels.height(), BufferedImage.TYPE_INT_RGB);
        byte[] rgb = pixels.rgbHWC();
        for (int i = 0; i < pixels.width() * pixels.height(); i++) {
            int color = (rgb[3 * i] & 0xFF) << 16 | (rgb[3 * i + 1] & 0xFF) << 8 | rgb[3 * i + 2] & 0xFF;
            image.setRGB(i % pixels.width(), i / pixels.width(), color);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", out);
        } catch (IOException e) {
            throw new UncheckedIOException("in memory", e);
        }
        return out.toByteArray();
    }

    @Override
    public void close() {
        table.close();
    }
}
