package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Lists of uids in their three forms, and the rules over them. */
class SelectionTest {
    @TempDir
    Path root;

    private Path data;
    private Locations locations;

    @BeforeEach
    void folders() {
        locations = TestData.locations(root);
        data = root.resolve("data");
    }

    /** The n-th uid; halves of all signs. */
    private static String uid(int n) {
        return Digests.short128(Digests.utf8("uid " + n));
    }

    private static byte[] numpy(String descr, String shape, List<String> uids) {
        String dictionary = "{'descr': " + descr + ", 'fortran_order': False, 'shape': (" + shape + "), }";
        int padded = Math.ceilDiv(10 + dictionary.length() + 1, 64) * 64;
        ByteBuffer out = ByteBuffer.allocate(padded + 16 * uids.size()).order(ByteOrder.LITTLE_ENDIAN);
        out.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0}).putShort((short) (padded - 10));
        out.put((dictionary + " ".repeat(padded - 11 - dictionary.length()) + "\n").getBytes(StandardCharsets.UTF_8));
        for (String uid : uids) {
            out.putLong(Long.parseUnsignedLong(uid, 0, 16, 16)).putLong(Long.parseUnsignedLong(uid, 16, 32, 16));
        }
        return out.array();
    }

    private static byte[] numpy(List<String> uids) {
        return numpy("[('f0', '<u8'), ('f1', '<u8')]", uids.size() + ",", uids);
    }

    private void parquet(String name, String type, List<String> uids) throws SQLException {
        try (Duck duck = Duck.open(root.resolve("spill"))) {
            duck.execute("CREATE TABLE u (uid " + type + ")");
            duck.execute("INSERT INTO u VALUES (" + String.join("), (", uids) + ")");
            duck.execute("COPY u TO " + Duck.quote(data.resolve(name)) + " (FORMAT parquet)");
        }
    }

    private UidList open(String name) {
        return UidList.open(data.resolve(name), root.resolve("scratch").resolve(name));
    }

    @Test
    void allThreeFormsSayTheSame() throws Exception {
        List<String> listed = new ArrayList<>();
        Random random = new Random(1);
        for (int n = 0; n < 3_000; n += 1 + random.nextInt(3)) {
            for (int copy = 0; copy <= n % 3; copy++) {
                listed.add(uid(n));
            }
        }
        Map<String, Long> counts = listed.stream().collect(Collectors.groupingBy(u -> u, Collectors.counting()));
        List<String> sorted = listed.stream().sorted().toList();
        Files.write(data.resolve("sorted.npy"), numpy(sorted));
        Files.write(data.resolve("unsorted.npy"), numpy(listed));
        Files.writeString(data.resolve("list.txt"), String.join("\n", listed) + "\n\n");
        parquet(
                "list.parquet",
                "VARCHAR",
                listed.stream().map(u -> "'" + u + "'").toList());
        for (String name : List.of("sorted.npy", "unsorted.npy", "list.txt", "list.parquet")) {
            try (UidList list = open(name)) {
                assertThat(list.size()).as(name).isEqualTo(listed.size());
                for (int n = 0; n < 3_000; n++) {
                    String uid = uid(n);
                    long high = Long.parseUnsignedLong(uid, 0, 16, 16);
                    long low = Long.parseUnsignedLong(uid, 16, 32, 16);
                    assertThat(list.copies(high, low)).as("%s %s", name, n).isEqualTo(counts.getOrDefault(uid, 0L));
                    assertThat(list.copies(high, low + 1)).isZero();
                }
            }
        }
        assertThat(root.resolve("scratch")).isEmptyDirectory();
    }

    @Test
    void unevenlySpreadUidsAreFoundToo() throws IOException {
        List<String> uids = new ArrayList<>();
        for (int i = 0; i < 5_000; i++) {
            uids.add("%016x%016x".formatted((long) i * i % 7, i));
        }
        uids.add("f".repeat(32));
        uids.sort(null);
        Files.write(data.resolve("u.npy"), numpy(uids));
        try (UidList list = open("u.npy")) {
            for (int i = 0; i < 5_000; i++) {
                assertThat(list.copies((long) i * i % 7, i)).isEqualTo(1);
                assertThat(list.copies(8, i)).isZero();
            }
            assertThat(list.copies(-1, -1)).isEqualTo(1);
        }
    }

    @Test
    void anEmptyListHoldsNothing() throws IOException {
        Files.write(data.resolve("none.npy"), numpy(List.of()));
        Files.writeString(data.resolve("none.txt"), "");
        for (String name : List.of("none.npy", "none.txt")) {
            try (UidList list = open(name)) {
                assertThat(list.copies(1, 2)).isZero();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'<u8'",
                "[('f0', '<i8'), ('f1', '<i8')]",
                "[('f0', '>u8'), ('f1', '>u8')]",
                "[('f0', '<u8')]",
                "[('f0', '<u8'), ('f1', '<u8'), ('f2', '<u8')]",
                "'<U32'",
                "'|O'"
            })
    void otherTypesOfArraysAreNamed(String descr) throws IOException {
        Files.write(data.resolve("u.npy"), numpy(descr, "2,", List.of(uid(1), uid(2))));
        assertThatThrownBy(() -> open("u.npy"))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                .hasMessageContaining("u.npy can't be used: its type is " + descr)
                .hasMessageContaining("numpy.dtype('u8,u8')");
    }

    @Test
    void otherTypesOfColumnsAndLinesAreNamed() throws Exception {
        parquet("numbers.parquet", "BIGINT", List.of("1"));
        parquet("short.parquet", "VARCHAR", List.of("'" + uid(1) + "'", "'abc'"));
        parquet("null.parquet", "VARCHAR", List.of("NULL"));
        Files.writeString(data.resolve("short.txt"), uid(1) + "\nzz" + uid(2).substring(2) + "\n");
        Files.writeString(data.resolve("u.csv"), uid(1));
        Files.writeString(data.resolve("broken.parquet"), "no Parquet at all");
        Files.write(data.resolve("bytes.txt"), new byte[] {(byte) 0xC3, 0x28, 10});
        Map<String, String> messages = Map.of(
                "numbers.parquet", "its column uid is of type BIGINT",
                "short.parquet", "it holds 'abc'",
                "null.parquet", "it holds NULL",
                "short.txt", "it holds 'zz",
                "u.csv", "unknown ending",
                "broken.parquet", "can't be read",
                "bytes.txt", "can't be");
        messages.forEach((name, message) -> assertThatThrownBy(() -> open(name))
                .as(name)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                .hasMessageContaining(name)
                .hasMessageContaining(message));
    }

    @Test
    void damagedArraysEndWithAReason() throws IOException {
        byte[] good = numpy(List.of(uid(1), uid(2), uid(3)));
        Random random = new Random(5);
        int refused = 0;
        for (int round = 0; round < 2_000; round++) {
            byte[] bytes = good.clone();
            if (round % 3 == 0) {
                bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
            }
            for (int i = 0; i < round % 4 && bytes.length > 0; i++) {
                bytes[random.nextInt(Math.min(bytes.length, 128))] = (byte) random.nextInt();
            }
            Path file = Files.write(data.resolve("f.npy"), bytes);
            long[] count = new long[1];
            try {
                NumpyUids.read(file, (high, low) -> count[0]++);
                assertThat(count[0]).isBetween(0L, 3L);
            } catch (TrainerException e) {
                assertThat(e.code()).isEqualTo(ExitCode.InvalidData);
                assertThat(e).hasMessageContaining("f.npy");
                refused++;
            }
        }
        assertThat(refused).isBetween(700, 1_999);
    }

    /** Samples 0 to 19 with uids; 5 has none of its own. */
    private void tar(String name, int from, int to) throws IOException {
        Tar tar = new Tar();
        for (int n = from; n < to; n++) {
            tar.sample("k" + n, TestData.png(8, 8, n), "caption " + n);
            tar.file(
                    "k" + n + ".json",
                    "{\"key\": \"k" + n + "\"" + (n == 5 ? "" : ", \"uid\": \"" + uid(n) + "\"") + "}");
        }
        Files.write(data.resolve(name), tar.bytes());
    }

    private Select.Rule rule(String name, int... uids) throws IOException {
        Files.writeString(
                data.resolve(name + ".txt"),
                String.join(
                        "\n", Arrays.stream(uids).mapToObj(SelectionTest::uid).toList()));
        return new Select.Rule(new Select.UidList("pvc://data/" + name + ".txt"), null);
    }

    private DatasetSummary build(Select select, Reject reject, String... tars) {
        List<Source> sources = new ArrayList<>();
        for (String tar : tars) {
            sources.add(
                    new Source(tar.replace(".tar", ""), new Source.WebDataset("pvc://data/" + tar), null, null, null));
        }
        DatasetSpec plain = TestData.captions("pvc://data/x.tar", 64, 4);
        DatasetSpec spec =
                new DatasetSpec(sources, select, reject, plain.pack(), plain.output(), null, null, null, null);
        return TestData.build(spec, locations);
    }

    private static final Reject LAX = new Reject(null, null, null, null, null, 0.9);

    /** How often each ordinal stands in the plan. */
    private Map<Integer, Integer> planned() throws Exception {
        Map<Integer, Integer> counts = new TreeMap<>();
        try (SampleTable table = SampleTable.open(root.resolve("out/pairs"), locations)) {
            for (int row = 0; row < table.rows(); row++) {
                for (int sample : table.row(row)) {
                    counts.merge(sample, 1, Integer::sum);
                }
            }
        }
        return counts;
    }

    @Test
    void rulesAndMultiplicity() throws Exception {
        tar("a.tar", 0, 20);
        Select.Rule first = rule("first", 1, 2, 2, 2, 3, 77);
        Select.Rule second = rule("second", 2, 3, 3, 4, 4);
        Select.Rule third = rule("third", 3, 4, 9);
        DatasetSummary any = build(new Select(List.of(first, second), null, null), LAX, "a.tar");
        assertThat(planned()).isEqualTo(Map.of(1, 1, 2, 3, 3, 2, 4, 2));
        assertThat(any.samples()).isEqualTo(8);
        assertThat(any.sources().getFirst().samples()).isEqualTo(20);
        assertThat(any.sources().getFirst().selected()).isEqualTo(8);
        DatasetManifest manifest = DatasetManifest.read(root.resolve("out/pairs"));
        assertThat(manifest.notSelected()).isEqualTo(16);
        assertThat(manifest.padding()).isEqualTo(any.rows() * 64 - any.tokens());

        build(new Select(null, List.of(first, second), null), LAX, "a.tar");
        assertThat(planned()).isEqualTo(Map.of(2, 1, 3, 1));
        build(new Select(List.of(second), List.of(third), List.of(first)), LAX, "a.tar");
        assertThat(planned()).isEqualTo(Map.of(4, 2));
        DatasetSummary rest = build(new Select(null, null, List.of(first, second)), LAX, "a.tar");
        assertThat(rest.samples()).isEqualTo(16);
        assertThat(planned()).containsKeys(0, 5, 9).doesNotContainKeys(1, 2, 3, 4);
        assertThat(root.resolve("out/pairs/.select")).isEmptyDirectory();
    }

    @Test
    void aChangedListMakesTheDatasetAgain() throws Exception {
        tar("a.tar", 0, 20);
        Select select = new Select(List.of(rule("list", 1, 2)), null, null);
        assertThat(build(select, LAX, "a.tar").samples()).isEqualTo(2);
        rule("list", 1, 2, 3);
        assertThat(build(select, LAX, "a.tar").samples()).isEqualTo(3);
    }

    @Test
    void nothingSelectedIsSaid() throws Exception {
        tar("a.tar", 0, 20);
        Select select = new Select(List.of(rule("list", 100)), null, null);
        assertThatThrownBy(() -> build(select, LAX, "a.tar")).hasMessageContaining("none of 20 samples is selected");
    }

    @Test
    void sourcesAreUnitedByUid() throws Exception {
        tar("a.tar", 0, 12);
        tar("b.tar", 8, 20);
        DatasetSummary union = build(new Select(List.of(rule("list", 7, 8, 9, 15)), null, null), LAX, "a.tar", "b.tar");
        assertThat(union.samples()).isEqualTo(4);
        assertThat(union.rejected()).containsExactly(new DatasetStatus.Rejected("DuplicateUid", 4L));
        assertThat(union.sources().stream().map(DatasetStatus.SourceCount::selected))
                .containsExactly(3L, 1L);
    }

    @Test
    void repeatedImagesAreRefusedWhereAsked() throws Exception {
        byte[] png = TestData.png(40, 40, 1);
        Tar tar = new Tar()
                .sample("a", png, "one")
                .sample("b", png, "two")
                .sample("c", TestData.png(40, 40, 2), "three")
                .file("d.png", TestData.scaled(png, 120))
                .file("d.txt", "the same picture, larger");
        Files.write(data.resolve("a.tar"), tar.bytes());
        assertThat(build(null, LAX, "a.tar").samples()).isEqualTo(4);
        Reject exact = new Reject(null, null, null, null, Reject.DuplicateImages.Exact, 0.9);
        DatasetSummary one = build(null, exact, "a.tar");
        assertThat(one.samples()).isEqualTo(3);
        assertThat(one.rejected()).containsExactly(new DatasetStatus.Rejected("DuplicateImage", 1L));
        Reject perceptual = new Reject(null, null, null, null, Reject.DuplicateImages.Perceptual, 0.9);
        DatasetSummary two = build(null, perceptual, "a.tar");
        assertThat(two.samples()).isEqualTo(2);
        assertThat(two.rejected()).containsExactly(new DatasetStatus.Rejected("DuplicateImage", 2L));
    }

    @Test
    void nearImagesAreRefusedAcrossShardsByDistance() throws Exception {
        byte[] first = TestData.png(40, 40, 3);
        byte[] other = TestData.png(40, 40, 4);
        long hash = PerceptualHash.of(new ImageDecoder().decode(first));
        byte[] touched = first;
        int bits = 0;
        for (int side = 1; side < 20 && bits == 0; side++) {
            touched = touched(first, side);
            bits = Long.bitCount(hash ^ PerceptualHash.of(new ImageDecoder().decode(touched)));
        }
        assertThat(bits).isBetween(1, NearHashes.MOST);
        Files.write(
                data.resolve("a.tar"),
                new Tar().sample("a", first, "a").sample("b", other, "b").bytes());
        Files.write(
                data.resolve("b.tar"),
                new Tar().sample("c", touched, "c").sample("d", first, "d").bytes());
        Map<Integer, Integer> kept = null;
        for (int distance : new int[] {bits - 1, bits}) {
            Reject near =
                    new Reject(null, null, null, null, null, null, Reject.DuplicateImages.Perceptual, distance, 0.9);
            DatasetSummary summary = build(Select.ALL, near, "a.tar", "b.tar");
            Map<String, Long> reasons = summary.rejected().stream()
                    .collect(Collectors.toMap(DatasetStatus.Rejected::reason, DatasetStatus.Rejected::count));
            assertThat(reasons)
                    .isEqualTo(
                            distance < bits
                                    ? Map.of("DuplicateImage", 1L)
                                    : Map.of("DuplicateImage", 1L, "NearDuplicateImage", 1L));
            kept = planned();
        }
        assertThat(kept.keySet()).containsExactly(0, 1); // the first place counts
        assertThat(Files.readString(root.resolve("out/pairs/rejects.jsonl")))
                .contains("differs in at most " + bits + " bits stands in an earlier place");
    }

    /** The picture with other shades in a corner. */
    private static byte[] touched(byte[] png, int side) throws IOException {
        var image = javax.imageio.ImageIO.read(new java.io.ByteArrayInputStream(png));
        for (int i = 0; i < side * side; i++) {
            image.setRGB(i % side, i / side, image.getRGB(i % side, i / side) ^ 0x0F0F0F);
        }
        var out = new java.io.ByteArrayOutputStream();
        javax.imageio.ImageIO.write(image, "png", out);
        return out.toByteArray();
    }

    @Test
    void captionsOfSignsAndOfOneWordAreRefusedWhereAsked() throws Exception {
        byte[] png = TestData.png(8, 8, 1);
        Files.write(
                data.resolve("a.tar"),
                new Tar()
                        .sample("good", png, "a photo of a cat, a dog and a bird")
                        .sample("signs", png, "|| -- ?? !! 12")
                        .sample("again", png, "buy buy Buy BUY now")
                        .bytes());
        assertThat(build(Select.ALL, LAX, "a.tar").samples()).isEqualTo(3);
        Reject text = new Reject(null, null, null, null, 0.6, 0.5, null, null, 0.9);
        DatasetSummary summary = build(Select.ALL, text, "a.tar");
        assertThat(summary.samples()).isEqualTo(1);
        assertThat(summary.rejected().stream()
                        .collect(Collectors.toMap(DatasetStatus.Rejected::reason, DatasetStatus.Rejected::count)))
                .isEqualTo(Map.of("CaptionLetters", 1L, "CaptionRepetition", 1L));
    }

    @Test
    void shortCaptionsAreRefused() throws Exception {
        Tar tar = new Tar()
                .sample("a", TestData.png(8, 8, 1), "x")
                .sample("b", TestData.png(8, 8, 2), "a much longer caption with many words");
        Files.write(data.resolve("a.tar"), tar.bytes());
        DatasetSummary summary = build(null, new Reject(null, null, null, 5, null, 0.9), "a.tar");
        assertThat(summary.samples()).isEqualTo(1);
        assertThat(summary.rejected()).containsExactly(new DatasetStatus.Rejected("CaptionTooShort", 1L));
    }
}
