package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatasetBuilderTest {
    @TempDir
    Path root;

    private Path data;
    private Locations locations;

    @BeforeEach
    void folders() {
        locations = TestData.locations(root);
        data = root.resolve("data");
    }

    @Test
    void captionsArePackedCountedAndPublishedLast() throws IOException {
        Tar tar = new Tar();
        for (int i = 0; i < 50; i++) {
            tar.sample("k" + i, TestData.png(16, 16, i), "a small picture number " + i + " of many");
        }
        Files.write(data.resolve("a.tar"), tar.bytes());
        List<String> progress = new ArrayList<>();
        DatasetSummary summary = build(TestData.captions("pvc://data/a.tar", 128, 9), progress);
        assertThat(summary.samples()).isEqualTo(50);
        assertThat(summary.images()).isEqualTo(50);
        assertThat(summary.rejected()).isEmpty();
        assertThat(summary.fill()).isBetween(0.8, 1.0);
        assertThat(summary.digest()).startsWith("sha256:");
        assertThat(summary.tokens()).isEqualTo(Math.round(summary.fill() * summary.rows() * 128));
        assertThat(progress).as("before, indexed, packed").containsExactly("0/1", "1/1", "1/1");
        Path out = root.resolve("out/pairs");
        try (var files = Files.walk(out)) {
            assertThat(files.filter(Files::isRegularFile)
                            .map(f -> out.relativize(f).toString()))
                    .containsExactlyInAnyOrder(
                            "index/pairs-00000-a.parquet", "plan.parquet", "rejects.jsonl", "dataset.json");
        }
    }

    @Test
    void everyKindOfBadInputIsCountedAndListed() throws IOException {
        byte[] good = TestData.png(16, 16, 1);
        Tar tar = new Tar()
                .sample("ok1", good, "one <image> and <|im_end|>")
                .sample("html", "<html>".getBytes(StandardCharsets.UTF_8), "no picture")
                .file("bmp.bmp", "BM and more")
                .file("bmp.txt", "bmp")
                .sample("bomb", Files.readAllBytes(Path.of("src/test/resources/images/bad/bomb.png")), "bomb")
                .sample("zero", new byte[0], "zero bytes")
                .sample("tiny", TestData.png(1, 5, 2), "tiny")
                .sample("wide", TestData.png(100, 2, 3), "wide")
                .sample("empty", good, " \n")
                .file("latin.png", good)
                .file("latin.txt", new byte[] {'a', (byte) 0xE9, 'b'})
                .sample("long", good, "word ".repeat(40))
                .file("noimage.txt", "text alone")
                .file("nocaption.png", good)
                .sample("json", good, "x")
                .file("json.json", "{\"uid\": \"u1\"}")
                .sample("broken", good, "x")
                .file("broken.json", "{\"key\": ")
                .file("../evil.png", good)
                .file("/abs.txt", "x")
                .member("link.png", '2', new byte[0])
                .sample("uid1", good, "first of the uid")
                .file("uid1.json", "{\"key\": \"uid1\", \"uid\": \"same\"}")
                .sample("uid2", good, "second of the uid")
                .file("uid2.json", "{\"key\": \"uid2\", \"uid\": \"same\"}")
                .sample("ok1", good, "the same key again")
                .sample("ok2", good, "two");
        Files.write(data.resolve("a.tar"), tar.bytes());
        Files.write(data.resolve("b.tar"), Arrays.copyOf(tar.bytes(), 512 + 512 + 512 + 100));
        Files.write(data.resolve("c.tar"), new byte[0]);
        Files.write(data.resolve("d.tar"), new byte[1024]);
        ByteArrayOutputStream zipped = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
            gzip.write(tar.bytes());
        }
        Files.write(data.resolve("e.tar"), zipped.toByteArray());
        Files.write(data.resolve("f.tar"), "this is no tar at all".repeat(100).getBytes(StandardCharsets.UTF_8));
        Files.write(
                data.resolve("g.tar"),
                new Tar().sample("last", good, "no end marker").withoutEnd());
        DatasetSummary summary = build(TestData.captions("pvc://data/*.tar", 64, 9), new ArrayList<>());
        Map<String, Long> rejected =
                summary.rejected().stream().collect(Collectors.toMap(r -> r.reason(), r -> r.count()));
        assertThat(new TreeMap<>(rejected))
                .containsExactlyInAnyOrderEntriesOf(Map.ofEntries(
                        Map.entry("CaptionEmpty", 1L),
                        Map.entry("CaptionMissing", 2L), // and the sample that b.tar cuts
                        Map.entry("CaptionTooLong", 1L),
                        Map.entry("CompressedTar", 1L),
                        Map.entry("DuplicateUid", 2L),
                        Map.entry("EmptyShard", 2L),
                        Map.entry("ImageAspect", 1L),
                        Map.entry("ImageMissing", 1L),
                        Map.entry("ImageTooLarge", 1L),
                        Map.entry("ImageTooSmall", 1L),
                        Map.entry("ImageUndecodable", 2L),
                        Map.entry("ImageUnsupported", 1L),
                        Map.entry("InvalidUtf8", 1L),
                        Map.entry("JsonInvalid", 1L),
                        Map.entry("JsonWithoutKey", 1L),
                        Map.entry("NotATar", 1L),
                        Map.entry("TruncatedTar", 2L),
                        Map.entry("UnsafeName", 2L),
                        Map.entry("UnsupportedMember", 1L)));
        assertThat(summary.samples()).isEqualTo(4); // ok1, uid1, ok2, and last of g.tar
        assertAddsUp(summary);
        List<String> lines = Files.readAllLines(root.resolve("out/pairs/rejects.jsonl"));
        assertThat(lines)
                .hasSize(rejected.values().stream().mapToInt(Long::intValue).sum());
        JsonNode line = new ObjectMapper().readTree(lines.getFirst());
        assertThat(line.get("source").asText()).isEqualTo("pairs");
        assertThat(line.get("shard").asText()).isEqualTo("pvc://data/a.tar");
        assertThat(line.get("key").asText()).isEqualTo("html");
        assertThat(line.get("reason").asText()).isEqualTo("ImageUndecodable");
        DatasetManifest manifest = DatasetManifest.read(root.resolve("out/pairs"));
        assertThat(manifest.imageLiterals()).isEqualTo(1);
        assertThat(manifest.specialTokenLiterals()).isEqualTo(1);
    }

    /** What was read was kept or refused. */
    private static void assertAddsUp(DatasetSummary summary) {
        long read = summary.sources().stream().mapToLong(s -> s.samples()).sum();
        long refused = summary.rejected().stream().mapToLong(r -> r.count()).sum();
        assertThat(read).isEqualTo(summary.samples() + refused);
    }

    @Test
    void tarsThatAreCutAnywhereAddUpAndKeepWhatIsWhole() throws IOException {
        Tar tar = new Tar();
        for (int i = 0; i < 6; i++) {
            tar.file("k" + i + ".json", "{\"key\": \"k" + i + "\"}")
                    .sample("k" + i, TestData.png(9, 9, i), "number " + i);
        }
        byte[] whole = tar.bytes();
        int sample = whole.length / 6 / 512 * 512;
        Files.write(
                data.resolve("a.tar"),
                new Tar().sample("a", TestData.png(9, 9, 9), "whole").bytes());
        java.util.Random random = new java.util.Random(8);
        for (int round = 0; round < 14; round++) {
            int length = round < 4 ? sample + 128 * (round - 2) : random.nextInt(whole.length - 1024);
            Files.write(data.resolve("b.tar"), Arrays.copyOf(whole, length));
            DatasetSummary summary = build(TestData.captions("pvc://data/*.tar", 64, 9), new ArrayList<>());
            assertAddsUp(summary);
            assertThat(summary.samples()).as("cut at %s", length).isBetween(1 + length / (sample + 1024L), 7L);
            assertThat(summary.rejected())
                    .as("cut at %s", length)
                    .anyMatch(r ->
                            List.of("TruncatedTar", "NotATar", "EmptyShard").contains(r.reason()));
            assertThat(Files.readAllLines(root.resolve("out/pairs/rejects.jsonl")))
                    .hasSize(Math.toIntExact(summary.rejected().stream()
                            .mapToLong(r -> r.count())
                            .sum()));
        }
    }

    @Test
    void samplesLongerThanTheContextAreRefusedAndNeverCut() throws IOException {
        byte[] png = TestData.png(9, 9, 1);
        Files.write(
                data.resolve("a.tar"),
                new Tar()
                        .sample("short", png, "one two")
                        .sample("long", png, "one two three four five six seven eight nine ten")
                        .bytes());
        DatasetSummary summary = build(TestData.captions("pvc://data/a.tar", 18, 9), new ArrayList<>());
        assertThat(summary.samples()).isEqualTo(1);
        assertThat(summary.rejected())
                .singleElement()
                .satisfies(r -> assertThat(r.reason()).isEqualTo("SampleTooLong"));
        assertAddsUp(summary);
    }

    /** DataComp's tars have uids; those that img2dataset wrote of CC3M, CC12M, SBU and LAION have keys that every tar begins anew. */
    @Test
    void namesOfKnownSetsAreKeptApart() throws IOException {
        Files.createDirectories(data.resolve("datacomp"));
        Files.createDirectories(data.resolve("ccs"));
        Files.createDirectories(data.resolve("laion"));
        for (int t = 0; t < 2; t++) {
            Tar dataComp = new Tar();
            Tar ccs = new Tar();
            Tar laion = new Tar();
            for (int n = 0; n < 3; n++) {
                String key = "%012d".formatted(n);
                byte[] picture = TestData.picture(12, 12, 10 * t + n, "jpg");
                dataComp.file(key + ".jpg", picture)
                        .file(
                                key + ".json",
                                "{\"uid\": \"%032x\", \"key\": \"%s\", \"status\": \"success\", \"sha256\": \"x\"}"
                                        .formatted(10 * t + n, key))
                        .file(key + ".txt", "from DataComp " + n);
                String nine = "%05d%04d".formatted(t, n);
                ccs.file("./" + nine + ".jpg", picture)
                        .file("./" + nine + ".txt", "from CCS " + n)
                        .file(
                                "./" + nine + ".json",
                                "{\"caption\": \"c\", \"key\": \"" + nine + "\", \"exif\": \"{}\"}");
                String again = "%09d".formatted(n); // the same in every tar
                laion.file(again + ".jpg", picture)
                        .file(again + ".txt", "from LAION " + n)
                        .file(
                                again + ".json",
                                "{\"key\": \"" + again + "\", \"NSFW\": \"UNLIKELY\", \"similarity\": 0.3}");
            }
            Files.write(data.resolve("datacomp/%08d.tar".formatted(t)), dataComp.bytes());
            Files.write(data.resolve("ccs/%05d.tar".formatted(t)), ccs.bytes());
            Files.write(data.resolve("laion/%05d.tar".formatted(t)), laion.bytes());
        }
        DatasetSpec one = TestData.captions("pvc://data/x.tar", 64, 9);
        List<Source> sources = List.of(
                new Source(
                        "datacomp",
                        new Source.WebDataset("pvc://data/datacomp/{00000000..00000001}.tar"),
                        null,
                        null,
                        null),
                new Source("ccs", new Source.WebDataset("pvc://data/ccs/*.tar"), null, null, null),
                new Source("laion", new Source.WebDataset("pvc://data/laion/{00000..00001}.tar"), null, null, null));
        DatasetSpec spec =
                new DatasetSpec(sources, null, one.reject(), one.pack(), one.output(), null, null, null, null);
        DatasetSummary summary = build(spec, new ArrayList<>());
        assertThat(summary.rejected()).isEmpty();
        assertThat(summary.samples()).isEqualTo(18);
        assertThat(summary.sources()).extracting(s -> s.samples()).containsExactly(6L, 6L, 6L);
        try (SampleTable table = SampleTable.open(root.resolve("out/pairs"), locations)) {
            assertThat(Arrays.stream(table.uids).distinct().count()).isEqualTo(18);
            assertThat(table.uids[0]).isEqualTo(Digests.hash64(Digests.utf8("0".repeat(32))));
        }
    }

    @Test
    void tooManyRejectsFailWithTheReasons() throws IOException {
        Tar tar = new Tar().sample("a", TestData.png(8, 8, 1), "fine");
        for (int i = 0; i < 3; i++) {
            tar.sample("bad" + i, new byte[9], "x");
        }
        Files.write(data.resolve("a.tar"), tar.bytes());
        Source source = new Source("pairs", new Source.WebDataset("pvc://data/a.tar"), null, null, null);
        DatasetSpec spec = TestData.spec(source, 64, 9, new Reject(null, null, null, null, null, 0.5));
        assertFails(spec, ExitCode.InvalidData, "3 of 4 samples (75.0 %)", "ImageUndecodable 3", "rejects.jsonl");
        assertThat(root.resolve("out/pairs/dataset.json")).doesNotExist();
        assertThat(root.resolve("out/pairs/rejects.jsonl")).exists();
    }

    @Test
    void nothingUsableFails() throws IOException {
        Files.write(data.resolve("a.tar"), new byte[1024]);
        assertFails(
                TestData.captions("pvc://data/a.tar", 64, 9), ExitCode.InvalidData, "no usable sample", "EmptyShard 1");
    }

    @Test
    void wrongSpecsAreNamed() throws IOException {
        Files.write(
                data.resolve("a.tar"),
                new Tar().sample("a", TestData.png(8, 8, 1), "x").bytes());
        assertFails(TestData.captions("pvc://data/b.tar", 64, 9), ExitCode.InvalidData, "b.tar", "does not exist");
        assertFails(TestData.captions("pvc://data/a.tar", 9, 9), ExitCode.InvalidConfiguration, "holds no image");
        Files.createSymbolicLink(data.resolve("out.tar"), Files.write(root.resolve("secret.tar"), new byte[1024]));
        assertFails(TestData.captions("pvc://data/out.tar", 64, 9), ExitCode.InvalidConfiguration, "leads out");
    }

    @Test
    void aPathThatCantBeWrittenIsAStorageFailure() throws IOException {
        Files.write(
                data.resolve("a.tar"),
                new Tar().sample("a", TestData.png(8, 8, 1), "x").bytes());
        Files.writeString(root.resolve("out/pairs"), "a file where the folder belongs");
        assertFails(TestData.captions("pvc://data/a.tar", 64, 9), ExitCode.StorageFailed, "can't make the folder");
    }

    @Test
    void aSecondRunKeepsAllAndAChangedTarIsReadAgain() throws Exception {
        Path tar = data.resolve("a.tar");
        Files.write(tar, new Tar().sample("a", TestData.png(8, 8, 1), "x").bytes());
        Files.write(
                data.resolve("b.tar"),
                new Tar().sample("b", TestData.png(8, 8, 2), "y").bytes());
        DatasetSpec spec = TestData.captions("pvc://data/*.tar", 64, 9);
        DatasetSummary first = build(spec, new ArrayList<>());
        Path index = root.resolve("out/pairs/index/pairs-00001-b.parquet");
        var made = Files.getLastModifiedTime(index);
        assertThat(build(spec, new ArrayList<>())).isEqualTo(first);
        // Killed before the end: the indexes stay, the rest is made again, and it is the same Dataset.
        Files.delete(root.resolve("out/pairs/dataset.json"));
        Files.writeString(root.resolve("out/pairs/index/.pairs-00000-a.parquet.tmp-1-1"), "half");
        assertThat(build(spec, new ArrayList<>())).isEqualTo(first);
        assertThat(Files.getLastModifiedTime(index)).isEqualTo(made);
        assertThat(root.resolve("out/pairs/index/.pairs-00000-a.parquet.tmp-1-1"))
                .doesNotExist();
        // Half a file under the final name, as a broken disk may leave it.
        Files.write(index, Arrays.copyOf(Files.readAllBytes(index), 100));
        assertThat(build(spec, new ArrayList<>())).isEqualTo(first);
        Files.write(
                tar, new Tar().sample("a", TestData.png(8, 8, 1), "x and more").bytes());
        Files.setLastModifiedTime(tar, java.nio.file.attribute.FileTime.fromMillis(1_000));
        assertThat(build(spec, new ArrayList<>()).digest()).isNotEqualTo(first.digest());
    }

    @Test
    void podsShareTheShards() throws Exception {
        for (int s = 0; s < 5; s++) {
            Tar tar = new Tar();
            for (int i = 0; i < 6; i++) {
                tar.sample("k" + i, TestData.png(8, 8, 10 * s + i), "shard " + s + " sample " + i);
            }
            Files.write(data.resolve("000" + s + ".tar"), tar.bytes());
        }
        DatasetSpec spec = TestData.captions("pvc://data/{0000..0004}.tar", 64, 9);
        DatasetSummary shared;
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            List<Future<List<DatasetSummary>>> pods = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                DatasetBuilder.Options pod = new DatasetBuilder.Options(i, 3, 1, Duration.ofSeconds(60));
                pods.add(threads.submit(() -> run(spec, pod)));
            }
            assertThat(pods.get(1).get()).isEmpty();
            assertThat(pods.get(2).get()).isEmpty();
            shared = pods.get(0).get().getFirst();
        }
        Files.delete(root.resolve("out/pairs/dataset.json"));
        assertThat(build(spec, new ArrayList<>())).isEqualTo(shared);
        assertThat(shared.samples()).isEqualTo(30);
    }

    @Test
    void aMissingPodIsNamed() throws IOException {
        for (String name : List.of("a.tar", "b.tar")) {
            Files.write(
                    data.resolve(name),
                    new Tar().sample(name, TestData.png(8, 8, 1), "x").bytes());
        }
        DatasetSpec spec = TestData.captions("pvc://data/*.tar", 64, 9);
        assertThatThrownBy(() -> run(spec, new DatasetBuilder.Options(0, 2, 1, Duration.ofMillis(300))))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.PeerLost))
                .hasMessageContaining("pairs-00001-b.parquet (worker 1), 1 in all");
    }

    @Test
    void conversationsOfBothFormsAndTheirFaults() throws IOException {
        TestData.folder(data.resolve("img"));
        Files.write(data.resolve("img/a.png"), TestData.png(12, 12, 1));
        Files.writeString(data.resolve("img/bad.png"), "no picture");
        String good = talk("\"a.png\"", "<image>\\nWhat?", "A cat.");
        String text =
                "{\"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}, {\"from\": \"gpt\", \"value\": \"<image>\"}]}";
        List<String> objects = List.of(
                good,
                text,
                talk("\"bad.png\"", "<image>\\nWhat?", "A cat."),
                talk("\"none.png\"", "<image>\\nWhat?", "A cat."),
                talk("\"../a.png\"", "<image>\\nWhat?", "A cat."),
                talk("\"a.png\"", "no place", "A cat."),
                talk("\"a.png\"", "<image>\\n" + "word ".repeat(300), "A cat."),
                talk("\"a.png\"", "<image>\\ud800", "half"),
                "{\"id\": 3}",
                "{\"conversations\": [{\"from\": \"gpt\", \"value\": \"first\"}]}",
                "{\"conversations\": [{\"from\": \"alien\", \"value\": \"first\"}]}",
                "{\"a\" 1}");
        Files.writeString(data.resolve("t.json"), "[\n" + String.join(",\n", objects) + "]");
        Files.writeString(data.resolve("t.jsonl"), String.join("\n", objects) + "\n{\"cut\": \"");
        DatasetSummary array =
                build(TestData.conversations("pvc://data/t.json", "pvc://data/img", 128, 9), new ArrayList<>());
        Map<String, Long> reasons = Map.of(
                "ImageUndecodable", 1L,
                "ImageMissing", 1L,
                "UnsafeImagePath", 1L,
                "ImagePlaces", 1L,
                "SampleTooLong", 1L,
                "InvalidUtf8", 1L,
                "ConversationInvalid", 3L,
                "JsonInvalid", 1L);
        assertThat(array.rejected().stream().collect(Collectors.toMap(r -> r.reason(), r -> r.count())))
                .isEqualTo(reasons);
        assertThat(array.samples()).isEqualTo(2);
        assertThat(array.images()).isEqualTo(1);
        assertThat(root.resolve("out/talks/plan.parquet")).doesNotExist();
        DatasetSummary lines =
                build(TestData.conversations("pvc://data/t.jsonl", "pvc://data/img", 128, 9), new ArrayList<>());
        Map<String, Long> more = new TreeMap<>(reasons);
        more.put("JsonInvalid", 2L);
        assertThat(lines.rejected().stream().collect(Collectors.toMap(r -> r.reason(), r -> r.count())))
                .isEqualTo(more);
        Files.writeString(data.resolve("cut.json"), "[" + good + ", {\"conversations\": [");
        DatasetSummary cut =
                build(TestData.conversations("pvc://data/cut.json", "pvc://data/img", 128, 9), new ArrayList<>());
        assertThat(cut.samples()).isEqualTo(1);
        assertThat(cut.rejected())
                .singleElement()
                .satisfies(r -> assertThat(r.reason()).isEqualTo("JsonInvalid"));
    }

    private static String talk(String image, String question, String answer) {
        return "{\"id\": \"7\", \"image\": " + image + ", \"conversations\": [{\"from\": \"human\", \"value\": \""
                + question + "\"}, {\"from\": \"gpt\", \"value\": \"" + answer + "\"}]}";
    }

    private DatasetSummary build(DatasetSpec spec, List<String> progress) {
        return new DatasetBuilder(spec, locations, new DatasetBuilder.Options(0, 1, 2, Duration.ofSeconds(1)))
                .build((done, total) -> progress.add(done + "/" + total))
                .orElseThrow();
    }

    private List<DatasetSummary> run(DatasetSpec spec, DatasetBuilder.Options options) {
        return new DatasetBuilder(spec, locations, options)
                .build((done, total) -> {}).stream().toList();
    }

    private void assertFails(DatasetSpec spec, ExitCode code, String... parts) {
        assertThatThrownBy(() -> build(spec, new ArrayList<>()))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContainingAll(parts);
    }
}
