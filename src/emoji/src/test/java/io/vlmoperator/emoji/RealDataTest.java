package io.vlmoperator.emoji;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real packages; skipped, with the reason, where they are neither cached nor to be had from npm. */
class RealDataTest {
    private static EmojiCatalog catalog;

    @TempDir
    Path temp;

    static Path tokenizer() {
        return Path.of(System.getProperty("checkout", "../..")).resolve("examples/emoji/tokenizer");
    }

    @BeforeAll
    static void read() {
        Map<DrawingSet, Path> packages = Map.of();
        try {
            packages = new NpmPackages(NpmPackages.defaultCache()).fetchAll();
        } catch (EmojiException e) {
            assumeTrue(false, e.getMessage());
        }
        catalog = EmojiCatalog.read(packages);
    }

    @Test
    void holdsTheNumberOfEmojiThatTheRecipeWasTunedOn() {
        assertThat(catalog.emoji()).hasSize(1821);
        assertThat(catalog.emoji())
                .extracting(Emoji::name)
                .contains("Grinning face", "France flag", "Person in tuxedo", "Man in tuxedo");
        assertThat(catalog.emoji())
                .extracting(Emoji::category)
                .containsOnly(
                        "smileys & emotion",
                        "people & body",
                        "animals & nature",
                        "food & drink",
                        "travel & places",
                        "activities",
                        "objects",
                        "symbols",
                        "flags");
    }

    @Test
    void noBenchmarkPictureIsTrainedOnAndRunsAreByteEqual() throws IOException {
        Prepared first = prepare("first", OptionalInt.empty());
        assertNoLeak(first);
        assertThat(first.benchmark("emoji-names")).hasSize(1821);
        assertThat(prepare("second", OptionalInt.empty()).digests()).isEqualTo(first.digests());
    }

    @Test
    void theSmallCopyIsSmall() throws IOException {
        Prepared small = prepare("small", OptionalInt.of(40));
        assertNoLeak(small);
        assertThat(small.benchmark("emoji-same-category")).hasSize(40);
        assertThat(small.captionMembers()).hasSize(40 * 2 * 3 * (CaptionShards.NAMES + CaptionShards.QUIZZES));
    }

    @Test
    void theCheckedInCorpusIsMadeOfTheseNames() throws IOException {
        assertThat(TrainTokenizer.corpus(catalog.emoji()))
                .as(
                        "examples/emoji/tokenizer/%s; after a change run TrainTokenizer with --corpus",
                        TrainTokenizer.CORPUS)
                .isEqualTo(Files.readString(tokenizer().resolve(TrainTokenizer.CORPUS)));
    }

    private Prepared prepare(String name, OptionalInt limit) throws IOException {
        Path out = temp.resolve(name);
        return Prepared.make(catalog, out, new PrepareEmoji.Options(out, tokenizer(), limit, 7, temp));
    }

    /** Neither the file nor the pixels of a benchmark picture occur among what is trained on. */
    static void assertNoLeak(Prepared prepared) throws IOException {
        Set<String> bytes = new HashSet<>();
        Set<String> pixels = new HashSet<>();
        for (byte[] image : prepared.trainingImages()) {
            // A drawing is there several times; the same file has the same pixels.
            if (bytes.add(Digests.sha256(image))) {
                pixels.add(Drawing.pixelDigest(image));
            }
        }
        assertThat(bytes).isNotEmpty();
        for (byte[] image : prepared.benchmarkImages()) {
            assertThat(bytes).as("digests of training files").doesNotContain(Digests.sha256(image));
            assertThat(pixels).as("digests of training pixels").doesNotContain(Drawing.pixelDigest(image));
        }
    }
}
