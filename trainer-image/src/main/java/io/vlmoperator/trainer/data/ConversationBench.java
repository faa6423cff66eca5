package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import java.awt.image.BufferedImage;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import javax.imageio.ImageIO;

/** One large file of made-up conversations as a Dataset: what {@code make bench-conversations} measures. */
public final class ConversationBench {
    private static final int PICTURES = 100;
    private static final int PICTURE_SIDE = 32;
    private static final List<String> WORDS =
            List.of("a", "the", "picture", "of", "red", "small", "house", "shows", "cat", "near", "tree", "and");

    private ConversationBench() {}

    /**
     * Writes so many conversations of one question and one answer (about 250 bytes each, three in four with one of {@value #PICTURES} pictures)
     * as JSON lines, and makes a Dataset of them.
     *
     * @param folder empty
     * @return samples of the Dataset
     */
    public static long index(Path folder, Path tokenizer, long conversations, DataBench.Progress progress)
            throws IOException {
        Path in = Files.createDirectories(folder.resolve("in"));
        Path pictures = Files.createDirectories(in.resolve("pictures"));
        SplittableRandom random = new SplittableRandom(1);
        for (int p = 0; p < PICTURES; p++) {
            BufferedImage picture = new BufferedImage(PICTURE_SIDE, PICTURE_SIDE, BufferedImage.TYPE_INT_RGB);
            picture.setRGB(p % PICTURE_SIDE, p / PICTURE_SIDE, random.nextInt());
            ImageIO.write(picture, "png", pictures.resolve(p + ".png").toFile());
        }
        try (BufferedWriter out = Files.newBufferedWriter(in.resolve("talks.jsonl"))) {
            for (long n = 0; n < conversations; n++) {
                boolean picture = n % 4 != 0;
                out.write("{\"id\": \"" + n + "\", ");
                out.write(picture ? "\"image\": \"" + random.nextInt(PICTURES) + ".png\", " : "");
                out.write("\"conversations\": [{\"from\": \"human\", \"value\": \"" + (picture ? "<image>\\n" : ""));
                words(out, random, 8);
                out.write("?\"}, {\"from\": \"gpt\", \"value\": \"");
                words(out, random, 16);
                out.write(".\"}]}\n");
            }
        }
        progress.done("write");
        DatasetSpec spec = new DatasetSpec(
                List.of(new Source(
                        "talks",
                        null,
                        null,
                        new Source.Conversations("pvc://in/talks.jsonl", "pvc://in/pictures"),
                        null)),
                null,
                null,
                new Pack(2048, 144, null, "pvc://tokenizer"),
                new DatasetSpec.Output("pvc://out/dataset", null, null),
                null,
                null,
                null,
                null);
        Locations locations = Locations.of(
                Map.of("in", in, "out", Files.createDirectories(folder.resolve("out")), "tokenizer", tokenizer));
        DatasetSummary summary = new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone())
                .build((done, total) -> {})
                .orElseThrow();
        progress.done("index and plan");
        return summary.samples();
    }

    private static void words(BufferedWriter out, SplittableRandom random, int count) throws IOException {
        for (int w = 0; w < count; w++) {
            out.write(w == 0 ? "" : " ");
            out.write(WORDS.get(random.nextInt(WORDS.size())));
        }
    }
}
