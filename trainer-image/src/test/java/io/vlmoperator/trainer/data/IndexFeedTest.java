package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Indexes that are read ahead: every row in order, and an end that does not hang. */
class IndexFeedTest {
    @TempDir
    Path root;

    /** An index of so many rows; every seventh is refused. */
    private Path index(int number, int rows) {
        Path file = root.resolve(number + ".parquet");
        try (Duck duck = Duck.open(root.resolve("spill"));
                IndexFile.Writer writer = new IndexFile.Writer(duck)) {
            for (int i = 0; i < rows; i++) {
                String name = number + "-" + i;
                String digest = "%032x".formatted(i);
                writer.add(
                        i % 7 == 6
                                ? IndexRow.rejected(name, name, RejectReason.CaptionMissing, "made up")
                                : new IndexRow(
                                        name, name, 0, 1, "png", 8, 8, 0, 1, 0, 0, 3, 1, i + 1, 5, digest, i, "", "", 0,
                                        0));
            }
            writer.publish(file, new IndexFile.Origin("spec", "shard-" + number, 1, 1));
        }
        return file;
    }

    /** Notes all that it is handed. */
    private static final class Notes implements IndexFeed.Reader {
        private final List<String> identities = new ArrayList<>();
        private final List<Integer> lengths = new ArrayList<>();
        private final List<String> keys = new ArrayList<>();
        private int refused;

        @Override
        public void head(IndexFeed.Head head) {
            identities.add(head.identity());
            refused += head.refusals().size();
        }

        @Override
        public void block(IndexFeed.Block block) {
            for (int row = 0; row < block.count; row++) {
                assertThat(block.used[row]).isEqualTo((block.first + row) % 7 != 6);
                lengths.add(block.lengths[row]);
                keys.add(block.key(row));
            }
        }
    }

    @Test
    void everyRowOfEveryIndexComesInOrder() throws IOException {
        // More blocks than wait in one index, and more indexes than are begun ahead.
        int[] rows = {100_000, 0, 5, 20_000, 3, 1, 7, 2};
        List<Path> files = new ArrayList<>();
        for (int n = 0; n < rows.length; n++) {
            files.add(index(n, rows[n]));
        }
        try (IndexFeed feed = new IndexFeed(files, true, root.resolve("feed"))) {
            for (int n = 0; n < rows.length; n++) {
                Notes notes = new Notes();
                IndexFeed.Tail tail = feed.next(notes);
                assertThat(tail.rows()).isEqualTo(rows[n]);
                assertThat(tail.digest()).isEqualTo(Digests.ofFile(files.get(n)));
                assertThat(notes.refused).isEqualTo(rows[n] / 7);
                assertThat(notes.identities).hasSize(1);
                assertThat(notes.identities.getFirst().isEmpty()).isEqualTo(rows[n] == 0);
                assertThat(notes.keys).hasSize(rows[n]);
                for (int i = 0; i < rows[n]; i++) {
                    assertThat(notes.lengths.get(i)).isEqualTo(i % 7 == 6 ? 0 : i + 1);
                    assertThat(notes.keys.get(i)).isEqualTo(n + "-" + i);
                }
            }
        }
    }

    @Test
    void theIdentityIsThatOfUidsAndDigestsInOrder() throws IOException {
        Path file = index(0, 2);
        Notes notes = new Notes();
        try (IndexFeed feed = new IndexFeed(List.of(file), false, root.resolve("feed"))) {
            feed.next(notes);
        }
        String text = "0-0 " + "0".repeat(32) + "\n0-1 " + "0".repeat(31) + "1";
        assertThat("sha256:" + notes.identities.getFirst()).isEqualTo(Digests.ofText(text));
        try (Duck duck = Duck.streaming(root.resolve("spill"))) {
            assertThat(IndexFeed.identity(duck, file)).as("as of a large index").isEqualTo(notes.identities.getFirst());
            assertThat(IndexFeed.identity(duck, index(1, 0))).isEmpty();
        }
        assertThat(notes.keys).as("not asked for").containsExactly("", "");
    }

    @Test
    void aDamagedIndexIsAnErrorAndWhatIsNotReadIsThrownAway() throws IOException {
        List<Path> files = new ArrayList<>(List.of(index(0, 90_000), index(1, 90_000)));
        Path damaged = root.resolve("damaged.parquet");
        Files.writeString(damaged, "no Parquet");
        files.addFirst(damaged);
        try (IndexFeed feed = new IndexFeed(files, true, root.resolve("feed"))) {
            assertThatThrownBy(() -> feed.next(new Notes()))
                    .isInstanceOf(TrainerException.class)
                    .hasMessageContaining("damaged.parquet");
        } // closing returns only when the threads have ended, which wait with blocks of the others
    }
}
