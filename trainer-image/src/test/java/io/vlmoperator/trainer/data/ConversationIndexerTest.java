package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.trainer.data.Shard.Form;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Conversations are read many at a time: each row must still be that of its own place in the file. */
class ConversationIndexerTest {
    @TempDir
    Path root;

    /** Runs the checks at once. */
    private static final class Rows implements ShardIndexer.Sink {
        final List<IndexRow> rows = new ArrayList<>();
        int calls;

        @Override
        public void row(IndexRow row) {
            rows.add(row);
        }

        @Override
        public void samples(long bytes, Callable<List<IndexRow>> check) {
            calls++;
            assertThat(bytes).isLessThanOrEqualTo(ConversationScanner.MAX_OBJECT);
            try {
                rows.addAll(check.call());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void everyRowIsThatOfItsPlace(boolean array) throws IOException {
        Path pictures = TestData.folder(root.resolve("pictures"));
        List<byte[]> images = new ArrayList<>();
        for (int p = 0; p < 5; p++) {
            images.add(TestData.png(8 + p, 9, p));
            Files.write(pictures.resolve(p + ".png"), images.get(p));
        }
        List<String> objects = new ArrayList<>();
        for (int n = 0; n < 700; n++) {
            // Two of more than a batch's bytes, on end; others of many lengths.
            int length = n == 300 || n == 301 ? 1_100_000 : n % 97 == 5 ? 30_000 : n % 40;
            boolean broken = n % 50 == 7;
            objects.add("{\"image\": \"" + n % 5 + ".png\", \"conversations\": [{\"from\": \"human\", \"value\": \""
                    + (broken ? "" : "<image>") + "What?\"}, {\"from\": \"gpt\", \"value\": \""
                    + "x ".repeat(length / 2) + n + "\"}]}");
        }
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        List<Long> places = new ArrayList<>();
        file.writeBytes((array ? " [ " : "\n").getBytes(StandardCharsets.UTF_8));
        for (int n = 0; n < objects.size(); n++) {
            places.add((long) file.size());
            file.writeBytes(objects.get(n).getBytes(StandardCharsets.UTF_8));
            String end =
                    array ? n == objects.size() - 1 ? "]" : n % 3 == 0 ? ",\n  " : "," : n % 3 == 0 ? "\n\n" : "\n";
            file.writeBytes(end.getBytes(StandardCharsets.UTF_8));
        }
        Path talks = root.resolve("talks.json");
        Files.write(talks, file.toByteArray());
        Rows found = new Rows();
        walk(talks, pictures, found);
        assertThat(found.rows).hasSameSizeAs(objects);
        assertThat(found.calls).isBetween(6, 20);
        for (int n = 0; n < objects.size(); n++) {
            IndexRow row = found.rows.get(n);
            byte[] json = objects.get(n).getBytes(StandardCharsets.UTF_8);
            assertThat(row.uid()).isEqualTo(Digests.short128(Digests.utf8("pvc://data/talks"), Digests.utf8("" + n)));
            assertThat(row.key()).isEqualTo("" + n);
            String reason = n == 300 || n == 301 ? "SampleTooLong" : n % 50 == 7 ? "ImagePlaces" : row.reason();
            assertThat(row.reason()).as("%d", n).isEqualTo(reason).isIn("", "SampleTooLong", "ImagePlaces");
            if (row.used()) {
                assertThat(row.textOffset()).isEqualTo(places.get(n));
                assertThat(row.textSize()).isEqualTo(json.length);
                assertThat(row.digest()).isEqualTo(Digests.short128(json, images.get(n % 5)));
                assertThat(row.width()).isEqualTo(8 + n % 5);
                assertThat(row.height()).isEqualTo(9);
                assertThat(row.imageType()).isEqualTo("png");
            }
        }
        assertThat(found.rows.stream().filter(IndexRow::used).count()).isBetween(600L, 690L);
    }

    @Test
    void oneThatIsTooLargeIsRefusedAndItsNeighboursAreKept() throws IOException {
        String small =
                "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, {\"from\": \"gpt\", \"value\": \"b\"}]}";
        Path talks = root.resolve("talks.json");
        byte[] large = new byte[ConversationScanner.MAX_OBJECT + 1];
        Arrays.fill(large, (byte) 'x');
        try (var out = Files.newOutputStream(talks)) {
            out.write((small + "\n").getBytes(StandardCharsets.UTF_8));
            out.write(large);
            out.write(("\n" + small).getBytes(StandardCharsets.UTF_8));
        }
        Rows found = new Rows();
        walk(talks, root, found);
        assertThat(found.rows.stream().map(IndexRow::reason)).containsExactly("", "JsonInvalid", "");
        assertThat(found.rows.get(1).detail()).contains((ConversationScanner.MAX_OBJECT + 1) + " bytes, at most");
        assertThat(found.rows.get(2).textOffset()).isEqualTo(small.length() + 2L + large.length);
    }

    @Test
    void imagesAreKeptUpToABound() throws Exception {
        CheckedImages images;
        try (Tokenizer tokenizer = Tokenizer.load(TestData.TOKENIZER.resolve("small"))) {
            images = new CheckedImages(rules(tokenizer));
        }
        // 800 kB each, of which 16 MiB hold twenty.
        byte[] base = TestData.png(8, 8, 1);
        byte[] padded = Arrays.copyOf(base, 800_000);
        int[] reads = new int[1];
        for (int round = 0; round < 2; round++) {
            for (int n = 0; n < 15; n++) {
                assertThat(images.get("a" + n, () -> read(reads, padded)).width())
                        .isEqualTo(8);
            }
        }
        assertThat(reads[0]).isEqualTo(15);
        for (int n = 0; n < 15; n++) {
            images.get("b" + n, () -> read(reads, padded));
        }
        images.get("a14", () -> read(reads, padded));
        assertThat(reads[0]).isEqualTo(30);
        images.get("a0", () -> read(reads, padded));
        assertThat(reads[0]).isEqualTo(31);
    }

    private static byte[] read(int[] reads, byte[] data) {
        reads[0]++;
        return data;
    }

    private void walk(Path talks, Path pictures, Rows sink) throws IOException {
        Shard shard = new Shard(
                0,
                "talks",
                Form.Conversations,
                talks,
                "pvc://data/talks",
                Optional.of(pictures),
                "pvc://data/pictures",
                "talks.parquet",
                Optional.empty());
        try (Tokenizer tokenizer = Tokenizer.load(TestData.TOKENIZER.resolve("small"));
                FileChannel channel = FileChannel.open(talks)) {
            new ConversationIndexer(shard, rules(tokenizer)).walk(channel, sink);
        }
    }

    private static SampleRules rules(Tokenizer tokenizer) {
        DatasetSpec spec = TestData.conversations("pvc://data/talks", "pvc://data/pictures", 256, 9);
        return new SampleRules(spec.reject(), spec.pack(), tokenizer, new ImageDecoder());
    }
}
