package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.api.spec.Select.Metric;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Scores from question to selection, with a filter that reads its answer in the caption. */
class ScoringTest {
    private static final Reject LAX = new Reject(null, null, null, null, null, 0.9);

    @TempDir
    Path root;

    private Path data;
    private Locations locations;
    private final List<String> asked = new ArrayList<>();

    @BeforeEach
    void folders() {
        locations = TestData.locations(root);
        data = root.resolve("data");
        TestData.folder(data.resolve("filter"));
    }

    /** Says the caption's last word; dies after so many questions. */
    private final class Echo implements FilterModel {
        private final String digest;
        private final int dies;

        Echo(String digest, int dies) {
            this.digest = digest;
            this.dies = dies;
        }

        @Override
        public String digest() {
            return digest;
        }

        @Override
        public int batch() {
            return 4;
        }

        @Override
        public float[] pixels(byte[] file) throws RejectedException {
            return new float[] {new ImageDecoder().decode(file).width()};
        }

        @Override
        public List<String> ask(Metric metric, List<Sample> samples) {
            List<String> answers = new ArrayList<>();
            for (Sample sample : samples) {
                assertThat(sample.pixels()[0]).isEqualTo(8);
                asked.add(metric + " " + sample.caption());
                answers.add(sample.caption().replaceFirst(".* ", ""));
            }
            if (asked.size() > dies) {
                throw new TrainerException(ExitCode.InternalError, "killed");
            }
            return answers;
        }

        @Override
        public void close() {}
    }

    private static Select.Rule score(Metric metric, int atLeast) {
        return new Select.Rule(null, new Select.Score(metric, atLeast, new Select.Scorer("pvc://data/filter")));
    }

    private DatasetSummary build(Select select, FilterModel model) {
        DatasetSpec plain = TestData.captions("pvc://data/*.tar", 64, 4);
        DatasetSpec spec =
                new DatasetSpec(plain.sources(), select, LAX, plain.pack(), plain.output(), null, null, null, null);
        return new DatasetBuilder(spec, locations, DatasetBuilder.Options.of(0, 1), folder -> model)
                .build((done, total) -> {})
                .orElseThrow();
    }

    private static Tar tar(int from, int to) {
        Tar tar = new Tar();
        for (int n = from; n < to; n++) {
            tar.sample("k" + n, TestData.png(8, 8, n), "picture " + n + " is " + n % 101);
        }
        return tar;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "85|85",
                "' 7 '|7",
                "0|0",
                "100|100",
                "+9|9",
                "'8,5'|85",
                "'85;'|85",
                "'85\nbecause'|85",
                "007|7",
                "101|",
                "-1|",
                "''|",
                "85.0|",
                "good|",
                "8 5|",
                "\u0663|",
                "'\n85'|85",
                "99999999999|"
            })
    void answersAreReadAsTheScriptsDo(String answer, Integer score) {
        assertThat(ScoreAnswer.parse(answer)).isEqualTo(score == null ? OptionalInt.empty() : OptionalInt.of(score));
    }

    @Test
    void thresholdsAreAppliedToScoresThatAreKept() throws Exception {
        Files.write(
                data.resolve("a.tar"),
                tar(0, 60).sample("bad", TestData.png(8, 8, 99), "it is bad").bytes());
        Files.write(
                data.resolve("b.tar"),
                tar(60, 101).sample("html", new byte[9], "no picture").bytes());
        Echo echo = new Echo("sha256:echo", Integer.MAX_VALUE);
        Metric metric = Metric.SemanticUnderstanding;

        DatasetSummary high = build(new Select(List.of(score(metric, 85)), null, null), echo);
        assertThat(high.samples()).isEqualTo(16); // 85 to 100
        assertThat(asked).hasSize(102); // what is rejected is not asked about
        DatasetManifest manifest = DatasetManifest.read(root.resolve("out/pairs"));
        assertThat(manifest.notSelected()).isEqualTo(86);
        assertThat(manifest.unreadableScores()).isEqualTo(1);

        asked.clear();
        DatasetSummary lower = build(new Select(List.of(score(metric, 10)), null, List.of(score(metric, 20))), echo);
        assertThat(lower.samples()).isEqualTo(10); // 10 to 19
        DatasetSummary rest = build(new Select(null, null, List.of(score(metric, 1))), echo);
        assertThat(rest.samples()).isEqualTo(2); // 0, and what has no readable score
        assertThat(asked).isEmpty();

        // Another scale is another question.
        DatasetSummary both =
                build(new Select(null, List.of(score(metric, 50), score(Metric.CaptionTextQuality, 60)), null), echo);
        assertThat(both.samples()).isEqualTo(41); // 60 to 100
        assertThat(asked).hasSize(102).allMatch(line -> line.startsWith("CaptionTextQuality"));
        try (Duck duck = Duck.open(root.resolve("spill"));
                var statement = duck.connection().createStatement();
                var rows = statement.executeQuery(
                        "SELECT count(*), count(score), count(DISTINCT key), min(answer) FILTER (score IS NULL)"
                                + " FROM read_parquet("
                                + Duck.quote(root.resolve("out/pairs/scores")
                                        + "/*/pairs-00000-a_SemanticUnderstanding.parquet")
                                + ")")) {
            rows.next();
            assertThat(rows.getInt(1)).isEqualTo(61);
            assertThat(rows.getInt(2)).isEqualTo(60);
            assertThat(rows.getInt(3)).isEqualTo(61);
            assertThat(rows.getString(4)).isEqualTo("bad");
        }

        // Another model is asked anew, and makes the Dataset again.
        asked.clear();
        build(new Select(List.of(score(metric, 85)), null, null), new Echo("sha256:other", Integer.MAX_VALUE));
        assertThat(asked).hasSize(102);
    }

    @Test
    void copiesComeFromTheListsBesideAScore() throws Exception {
        Tar tar = new Tar();
        for (int n = 0; n < 4; n++) {
            String uid = "%032x".formatted(n);
            tar.sample("k" + n, TestData.png(8, 8, n), "is " + 30 * n)
                    .file("k" + n + ".json", "{\"key\": \"k\", \"uid\": \"" + uid + "\"}");
        }
        Files.write(data.resolve("a.tar"), tar.bytes());
        Files.writeString(data.resolve("l.txt"), "%032x\n%032x\n%032x\n%032x\n".formatted(0, 3, 3, 3));
        Select.Rule list = new Select.Rule(new Select.UidList("pvc://data/l.txt"), null);
        Echo echo = new Echo("sha256:echo", Integer.MAX_VALUE);
        Select.Rule rule = score(Metric.ImageTextMatching, 60);
        assertThat(build(new Select(null, List.of(list, rule), null), echo).samples())
                .isEqualTo(3);
        assertThat(build(new Select(List.of(list, rule), null, null), echo).samples())
                .isEqualTo(5); // 0, 2, 3 3 3
        assertThat(build(new Select(null, List.of(rule), null), echo).samples()).isEqualTo(2);
    }

    @Test
    void killedWorkGoesOnWithTheSameBatchesAndScores() throws Exception {
        int samples = ShardScorer.PAGE * 2 + 10;
        Tar tar = new Tar();
        byte[] png = TestData.png(8, 8, 1);
        for (int n = 0; n < samples; n++) {
            tar.sample("k" + n, png, "picture " + n + " is " + n % 101);
        }
        Path file = Files.write(data.resolve("a.tar"), tar.bytes());
        build(Select.ALL, null);
        Path index = root.resolve("out/pairs/index/pairs-00000-a.parquet");
        ScoreFile scores = new ScoreFile(
                root.resolve("out/pairs"), "sha256:echo", Metric.CaptionTextQuality, "pairs-00000-a.parquet");
        try (Duck duck = Duck.open(root.resolve("spill"))) {
            assertThat(score(duck, file, index, Integer.MAX_VALUE).asked()).isEqualTo(samples);
            String digest = Digests.ofFile(scores.path());
            List<String> whole = List.copyOf(asked);
            Files.delete(scores.path());
            asked.clear();

            assertThatThrownBy(() -> score(duck, file, index, ShardScorer.PAGE + 40))
                    .hasMessageContaining("killed");
            assertThat(scores.isUsable(duck)).isTrue();
            assertThat(scores.isComplete(duck, Digests.ofFile(index))).isFalse();
            Files.writeString(scores.path().resolveSibling("." + scores.path().getFileName() + ".tmp-1-1"), "half");
            asked.clear();
            assertThat(score(duck, file, index, Integer.MAX_VALUE).asked()).isEqualTo(samples - ShardScorer.PAGE);
            assertThat(asked).isEqualTo(whole.subList(ShardScorer.PAGE, samples));
            assertThat(Digests.ofFile(scores.path())).isEqualTo(digest);
            try (var files = Files.list(scores.path().getParent())) {
                assertThat(files).containsExactly(scores.path());
            }
            assertThat(score(duck, file, index, 0)).isEqualTo(ShardScorer.Tally.NONE);

            // A damaged file is made again.
            Files.writeString(scores.path(), "PAR1 not");
            assertThat(score(duck, file, index, Integer.MAX_VALUE).asked()).isEqualTo(samples);
            assertThat(Digests.ofFile(scores.path())).isEqualTo(digest);
        }
    }

    private ShardScorer.Tally score(Duck duck, Path tar, Path index, int dies) {
        int before = asked.size();
        try (ShardScorer scorer = new ShardScorer(
                new Echo("sha256:echo", dies == Integer.MAX_VALUE ? dies : before + dies),
                Metric.CaptionTextQuality,
                root.resolve("out/pairs"),
                2,
                0,
                () -> {})) {
            return scorer.score(duck, tar, "a.tar", index, () -> {});
        }
    }

    @Test
    void whatIsScoredStaysWhenTheIndexIsMadeAgain() throws Exception {
        Files.write(data.resolve("a.tar"), tar(0, 30).bytes());
        Echo echo = new Echo("sha256:echo", Integer.MAX_VALUE);
        Select select = new Select(List.of(score(Metric.ImageTextMatching, 10)), null, null);
        build(select, echo);
        assertThat(asked).hasSize(30);
        asked.clear();
        Files.write(data.resolve("a.tar"), tar(5, 33).bytes());
        assertThat(build(select, echo).samples()).isEqualTo(23);
        assertThat(asked)
                .containsExactly(
                        "ImageTextMatching picture 30 is 30",
                        "ImageTextMatching picture 31 is 31",
                        "ImageTextMatching picture 32 is 32");
    }

    @Test
    void aTarThatChangedUnderTheScorerIsNamed() throws Exception {
        Path file = Files.write(data.resolve("a.tar"), tar(0, 8).bytes());
        build(Select.ALL, null);
        Files.write(data.resolve("a.tar"), tar(1, 9).bytes());
        try (Duck duck = Duck.open(root.resolve("spill"))) {
            assertThatThrownBy(() ->
                            score(duck, file, root.resolve("out/pairs/index/pairs-00000-a.parquet"), Integer.MAX_VALUE))
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                    .hasMessageContaining("no longer what was indexed");
        }
    }

    @Test
    void withoutAFilterTheRuleIsRefused() throws IOException {
        Files.write(data.resolve("a.tar"), tar(0, 8).bytes());
        DatasetSpec plain = TestData.captions("pvc://data/*.tar", 64, 4);
        DatasetSpec spec = new DatasetSpec(
                plain.sources(),
                new Select(List.of(score(Metric.ImageTextMatching, 10)), null, null),
                LAX,
                plain.pack(),
                plain.output(),
                null,
                null,
                null,
                null);
        assertThatThrownBy(() ->
                        new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone()).build((done, total) -> {}))
                .hasMessageContaining("filter model");
    }
}
