package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.spec.Source.UrlList;
import io.vlmoperator.trainer.Mutations;
import io.vlmoperator.trainer.TrainerException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Every reader of a Dataset's files, given files that are nearly good: it reads on or names what is wrong, soon and in little memory. */
class ForeignBytesTest {
    private static final long MIB = 1 << 20;
    private static final Set<Class<? extends Exception>> REJECTED = Set.of(RejectedException.class);
    private static final Set<Class<? extends Exception>> REFUSED = Set.of(TrainerException.class);

    private static Path folder;
    private static List<byte[]> tars;
    private static List<byte[]> pictures;
    private static List<byte[]> parquets;
    private static List<byte[]> uidParquets;

    @BeforeContainer
    static void make() throws Exception {
        folder = Files.createTempDirectory("foreign");
        byte[] png = TestData.png(9, 5, 3);
        byte[] tar = new TestData.Tar()
                .sample("a", png, "one")
                .member("PaxHeader", 'x', "14 path=b.png\n22 size=0000000000003\n".getBytes(StandardCharsets.UTF_8))
                .file("x", new byte[3])
                .member("././@LongLink", 'L', ("n".repeat(120) + ".txt\0").getBytes(StandardCharsets.UTF_8))
                .file("n", "text".getBytes(StandardCharsets.UTF_8))
                .bytes();
        ByteArrayOutputStream zipped = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
            gzip.write(tar);
        }
        tars = List.of(tar, zipped.toByteArray());
        pictures = List.of(
                png,
                TestData.picture(9, 5, 3, "jpeg"),
                TestData.picture(9, 5, 3, "gif"),
                Files.readAllBytes(Path.of("src/test/resources/images/good/webp_lossy.webp")));
        parquets = List.of(parquet("SELECT 'http://h/' || i AS url, 'c' || i AS text FROM range(20) t(i)"));
        uidParquets = List.of(parquet("SELECT printf('%032x', i * 77) AS uid FROM range(20) t(i)"));
    }

    private static byte[] parquet(String query) throws Exception {
        Path file = folder.resolve("good.parquet");
        try (Duck duck = Duck.open(folder.resolve("spill"))) {
            duck.execute("COPY (" + query + ") TO " + Duck.quote(file) + " (FORMAT parquet)");
        }
        return Files.readAllBytes(file);
    }

    @AfterContainer
    static void delete() throws IOException {
        try (var all = Files.walk(folder)) {
            all.sorted(java.util.Comparator.reverseOrder()).forEach(file -> {
                try {
                    Files.deleteIfExists(file);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        }
    }

    private static Path file(String name, byte[] bytes) throws IOException {
        return Files.write(folder.resolve(name), bytes);
    }

    @Provide
    Arbitrary<byte[]> tars() {
        return Mutations.of(tars);
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void tar(@ForAll("tars") byte[] bytes) throws IOException {
        Path file = file("t.tar", bytes);
        Mutations.read(4 * MIB, Set.of(), () -> {
            try (FileChannel channel = FileChannel.open(file)) {
                TarReader reader = new TarReader(channel);
                for (int calls = 0; ; calls++) {
                    assertThat(calls).as("the reader does not end").isLessThan(1_000);
                    try {
                        Optional<TarReader.Member> next = reader.next();
                        if (next.isEmpty()) {
                            return;
                        }
                        assertThat(next.get().offset()).isNotNegative();
                        assertThat(next.get().size())
                                .isBetween(0L, bytes.length - next.get().offset());
                    } catch (RejectedException e) {
                        assertThat(e.getMessage()).isNotEmpty();
                    }
                }
            }
        });
    }

    @Provide
    Arbitrary<byte[]> pictures() {
        return Mutations.of(pictures);
    }

    /** What a header announces may be made before the rest is found missing, but no more than the largest picture that is read. */
    @Property(seed = "7", tries = 150, edgeCases = EdgeCasesMode.NONE)
    void picture(@ForAll("pictures") byte[] bytes) {
        Mutations.read(12 * ImageHeader.MAX_PIXELS, REJECTED, () -> {
            Pixels pixels = new ImageDecoder().decode(bytes);
            assertThat((long) pixels.width() * pixels.height()).isBetween(1L, ImageHeader.MAX_PIXELS);
        });
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void pictureHeader(@ForAll("pictures") byte[] bytes) {
        Mutations.read(MIB, REJECTED, () -> {
            ImageHeader header = ImageHeader.read(bytes);
            assertThat((long) header.width() * header.height()).isBetween(1L, ImageHeader.MAX_PIXELS);
        });
    }

    @Provide
    Arbitrary<byte[]> numpy() {
        String header = "{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (3,), }";
        byte[] text = (header + " ".repeat(117 - header.length()) + "\n").getBytes(StandardCharsets.US_ASCII);
        ByteBuffer file = ByteBuffer.allocate(10 + text.length + 48).order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0})
                .putShort((short) text.length)
                .put(text);
        for (long i = 1; i <= 6; i++) {
            file.putLong(i * 0x0123456789abcdefL);
        }
        return Mutations.of(List.of(file.array()));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void uidsOfNumPy(@ForAll("numpy") byte[] bytes) throws IOException {
        Path file = file("u.npy", bytes);
        Mutations.read(2 * MIB, REFUSED, () -> {
            long[] count = {0};
            NumpyUids.read(file, (high, low) -> count[0]++);
            assertThat(16 * count[0]).isLessThan(bytes.length);
        });
    }

    @Provide
    Arbitrary<byte[]> uidParquets() {
        return Mutations.of(uidParquets);
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void uidsOfParquet(@ForAll("uidParquets") byte[] bytes) throws IOException {
        uids("u.parquet", bytes);
    }

    @Provide
    Arbitrary<byte[]> uidTexts() {
        return Mutations.of(List.of("00000000000000000000000000000abc\n0123456789abcdef0123456789ABCDEF\r\n\n"
                .getBytes(StandardCharsets.US_ASCII)));
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void uidsOfText(@ForAll("uidTexts") byte[] bytes) throws IOException {
        uids("u.txt", bytes);
    }

    private static void uids(String name, byte[] bytes) throws IOException {
        Path file = file(name, bytes);
        Mutations.read(64 * MIB, REFUSED, () -> {
            try (UidList list = UidList.open(file, folder.resolve("scratch/" + name))) {
                assertThat(list.size()).isBetween(0L, bytes.length / 16L + 20);
            }
        });
    }

    @Provide
    Arbitrary<byte[]> urlParquets() {
        return Mutations.of(parquets);
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void urlsOfParquet(@ForAll("urlParquets") byte[] bytes) throws IOException {
        urls("l.parquet", bytes);
    }

    @Provide
    Arbitrary<byte[]> urlTables() {
        return Mutations.of(List.of("url,text,uid\nhttp://a/1,\"one, \"\"two\"\"\",\nhttp://a/2,\"line\nend\",x\n"
                .getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void urlsOfCsv(@ForAll("urlTables") byte[] bytes) throws IOException {
        urls("l.csv", bytes);
    }

    @Provide
    Arbitrary<byte[]> urlLines() {
        return Mutations.of(List.of(
                "{\"url\":\"http://a/1\",\"text\":\"one\"}\n{\"url\":\"http://a/2\",\"text\":\"tw\\u00e9\",\"uid\":null}\n"
                        .getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", tries = 25, edgeCases = EdgeCasesMode.NONE)
    void urlsOfJsonLines(@ForAll("urlLines") byte[] bytes) throws IOException {
        urls("l.jsonl", bytes);
    }

    private static void urls(String name, byte[] bytes) throws IOException {
        Path file = file(name, bytes);
        UrlList rules =
                new UrlList("pvc://data/" + name, null, null, null, null, null, null, null, null, null, null, null);
        Mutations.read(
                64 * MIB,
                REFUSED,
                () -> assertThat(UrlDownload.rows(rules, file, folder.resolve("spill-urls")))
                        .isBetween(0L, (long) bytes.length));
    }

    @Provide
    Arbitrary<byte[]> conversations() {
        String one =
                "{\"id\": \"a\\\"}{\", \"image\": [\"i.png\"], \"conversations\": [{\"from\": \"human\", \"value\": \"<image> q [ }\"},"
                        + " {\"from\": \"gpt\", \"value\": \"caf\u00e9 \\ud83d\\ude00\"}]}";
        return Mutations.of(List.of(
                ("[" + one + " , " + one + "]").getBytes(StandardCharsets.UTF_8),
                (one + "\n" + one + "\n").getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void conversation(@ForAll("conversations") byte[] bytes) {
        Mutations.read(16 * MIB, Set.of(), () -> {
            ConversationScanner scanner = new ConversationScanner(new ByteArrayInputStream(bytes));
            for (int calls = 0; ; calls++) {
                assertThat(calls).as("the scanner does not end").isLessThan(bytes.length + 2);
                try {
                    Optional<ConversationScanner.Range> range = scanner.next();
                    if (range.isEmpty()) {
                        return;
                    }
                    int from = (int) range.get().offset();
                    int to = (int) (range.get().offset() + range.get().size());
                    assertThat(to).isLessThanOrEqualTo(bytes.length);
                    ConversationParser.parse(Arrays.copyOfRange(bytes, from, to));
                } catch (RejectedException e) {
                    assertThat(e.getMessage()).isNotEmpty();
                }
            }
        });
    }

    @Provide
    Arbitrary<byte[]> documents() {
        return Mutations.of(List.of(
                "{\"uid\":\"d\",\"images\":[\"aWJt\",null,\"data:image/png;base64,aWJt\",null],\"texts\":[null,\"one\",null,\"two\"]}"
                        .getBytes(StandardCharsets.UTF_8),
                "{\"text_list\":[\"a\",\"b\"],\"image_info\":[{\"image_base64\":\"aWJt\",\"matched_text_index\":1},{\"image_name\":\"x.png\",\"matched_text_index\":0}]}"
                        .getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void document(@ForAll("documents") byte[] bytes) {
        Mutations.read(16 * MIB, REJECTED, () -> Document.parse(bytes).parts(bytes, Optional.empty()));
    }

    @Provide
    Arbitrary<byte[]> robots() {
        return Mutations.of(List.of(
                "User-agent: *\nDisallow: /a*b$\nAllow: /\r\nUser-agent: vlm-operator\nDisallow: /private%20x # y\n"
                        .getBytes(StandardCharsets.UTF_8)));
    }

    @Property(seed = "7", edgeCases = EdgeCasesMode.NONE)
    void robots(@ForAll("robots") byte[] bytes) {
        Mutations.read(
                8 * MIB,
                Set.of(),
                () -> RobotsText.parse(bytes, "vlm-operator").allows("/a" + "a".repeat(2_000) + "?x"));
    }

    /** Else nearly good files would be nothing but bad ones. */
    @Example
    void goodFilesAreRead() throws Exception {
        Path tar = file("good.tar", tars.getFirst());
        try (FileChannel channel = FileChannel.open(tar)) {
            TarReader reader = new TarReader(channel);
            int members = 0;
            while (reader.next().isPresent()) {
                members++;
            }
            assertThat(members).isEqualTo(4);
        }
        for (byte[] picture : pictures.subList(0, 3)) {
            assertThat(new ImageDecoder().decode(picture).width()).isEqualTo(9);
        }
        try (UidList list =
                UidList.open(file("good.parquet", uidParquets.getFirst()), folder.resolve("scratch/good"))) {
            assertThat(list.size()).isEqualTo(20);
        }
        UrlList rules =
                new UrlList("pvc://data/good", null, null, null, null, null, null, null, null, null, null, null);
        assertThat(UrlDownload.rows(rules, file("good.parquet", parquets.getFirst()), folder.resolve("spill-urls")))
                .isEqualTo(20);
    }
}
