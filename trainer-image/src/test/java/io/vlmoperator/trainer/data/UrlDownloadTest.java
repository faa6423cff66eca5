package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.api.spec.Source.UrlList;
import io.vlmoperator.api.status.DatasetStatus;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Lists of urls against a server on the loopback that misbehaves. */
class UrlDownloadTest {
    private static final byte[] SMALL = TestData.png(20, 14, 1);
    private static final byte[] LARGE = TestData.picture(90, 60, 2, "jpg");

    @TempDir
    Path root;

    private Path data;
    private Locations locations;
    private HttpServer server;
    private ExecutorService threads;
    private final CountDownLatch end = new CountDownLatch(1);
    private final Map<String, AtomicInteger> requests = new ConcurrentHashMap<>();
    private final AtomicReference<String> robots = new AtomicReference<>("");
    private final AtomicInteger open = new AtomicInteger();
    private final AtomicInteger mostOpen = new AtomicInteger();

    @BeforeEach
    void start() throws IOException {
        locations = TestData.locations(root);
        data = root.resolve("data");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
        threads = Executors.newVirtualThreadPerTaskExecutor();
        server.setExecutor(threads);
        server.createContext("/", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        end.countDown();
        server.stop(0);
        threads.shutdownNow();
    }

    private String url(String path) {
        return "http://127.0.0.1:" + server.getAddress().getPort() + path;
    }

    private void answer(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        int before = requests.computeIfAbsent(path, p -> new AtomicInteger()).getAndIncrement();
        mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
        try (exchange) {
            if (path.equals("/robots.txt") && !robots.get().isEmpty()) {
                boolean broken = robots.get().equals("broken");
                send(exchange, broken ? 503 : 200, robots.get().getBytes(java.nio.charset.StandardCharsets.UTF_8));
            } else if (path.startsWith("/small")) {
                send(exchange, 200, SMALL);
            } else if (path.equals("/large")) {
                send(exchange, 200, LARGE);
            } else if (path.equals("/busy")) {
                exchange.getResponseHeaders().add("Retry-After", "0");
                send(exchange, before == 0 ? 429 : 200, SMALL);
            } else if (path.equals("/broken")) {
                send(exchange, 503, new byte[0]);
            } else if (path.equals("/hello")) {
                send(exchange, 200, "<html>".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
            } else if (path.equals("/cut")) {
                exchange.sendResponseHeaders(200, SMALL.length + 100);
                exchange.getResponseBody().write(SMALL);
            } else if (path.equals("/loop")) {
                exchange.getResponseHeaders().add("Location", "/loop");
                send(exchange, 302, new byte[0]);
            } else if (path.equals("/moved")) {
                exchange.getResponseHeaders().add("Location", "/small-moved");
                send(exchange, 301, new byte[0]);
            } else if (path.equals("/nowhere")) {
                exchange.getResponseHeaders().add("Location", "file:///etc/passwd");
                send(exchange, 302, new byte[0]);
            } else if (path.equals("/mine")) {
                exchange.getResponseHeaders().add("X-Robots-Tag", "nofollow, NoImageAI");
                send(exchange, 200, SMALL);
            } else if (path.equals("/theirs")) {
                exchange.getResponseHeaders().add("X-Robots-Tag", "otherbot: noai");
                send(exchange, 200, SMALL);
            } else if (path.equals("/endless")) {
                exchange.sendResponseHeaders(200, 0);
                OutputStream out = exchange.getResponseBody();
                while (end.getCount() > 0) {
                    out.write(new byte[1 << 16]); // until the client goes away
                }
            } else if (path.equals("/silent")) {
                end.await();
            } else {
                send(exchange, 404, new byte[0]);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            open.decrementAndGet();
        }
    }

    private static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        if (body.length > 0) {
            exchange.getResponseBody().write(body);
        }
    }

    private UrlList rules(String list, int timeout, boolean inside) {
        return new UrlList("pvc://data/" + list, null, null, null, 30, 16, 2, timeout, 1, 200_000, null, inside);
    }

    private DatasetSpec spec(UrlList list) {
        Source source = new Source("web", null, list, null, null);
        return TestData.spec(source, 64, 4, new Reject(null, null, null, null, null, 1.0));
    }

    private DatasetSummary build(UrlList list) {
        return TestData.build(spec(list), locations);
    }

    private static Map<String, Long> reasons(DatasetSummary summary) {
        return summary.rejected().stream()
                .collect(Collectors.toMap(DatasetStatus.Rejected::reason, DatasetStatus.Rejected::count));
    }

    private List<String> statuses(String columns) throws SQLException {
        List<String> lines = new ArrayList<>();
        try (Duck duck = Duck.open(root.resolve("spill"));
                Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery("SELECT concat_ws(' ', " + columns + ") FROM read_parquet("
                        + Duck.quote(root.resolve("out/web/downloads/web/00000000.parquet")) + ")")) {
            while (rows.next()) {
                lines.add(rows.getString(1));
            }
        }
        return lines;
    }

    @Test
    void everyFaultIsCountedAndTheRestGoesOn() throws Exception {
        List<String> lines = new ArrayList<>(List.of("url,text,uid"));
        List<String> paths = List.of(
                "/small",
                "/large",
                "/busy",
                "/moved",
                "/theirs",
                "/gone",
                "/broken",
                "/hello",
                "/cut",
                "/loop",
                "/nowhere",
                "/mine",
                "/endless");
        for (int i = 0; i < paths.size(); i++) {
            lines.add(url(paths.get(i)) + ",\"caption, " + i + "\"," + "%032x".formatted(i));
        }
        lines.add("ftp://127.0.0.1/a.png,x,");
        lines.add("http://user:word@127.0.0.1/a.png,x,");
        lines.add("not a url,x,");
        lines.add(",x,");
        lines.add(url("/small2") + ",,");
        Files.write(data.resolve("list.csv"), lines);
        DatasetSummary summary = build(rules("list.csv", 600, true));
        assertThat(summary.samples()).isEqualTo(5);
        assertThat(reasons(summary))
                .isEqualTo(Map.of(
                        "DownloadFailed", 4L, // 404, 503, cut, loop
                        "DownloadRefused", 6L, // X-Robots-Tag, a redirect to a file, and four urls
                        "DownloadTooLarge", 1L,
                        "ImageUndecodable", 1L,
                        "CaptionEmpty", 1L));
        assertThat(requests.get("/broken").get()).isEqualTo(2); // one more try
        assertThat(requests.get("/cut").get()).isGreaterThanOrEqualTo(2);
        assertThat(requests.get("/busy").get()).isEqualTo(2);
        assertThat(requests.get("/gone").get()).isEqualTo(1);
        assertThat(requests.get("/loop").get()).isEqualTo(6);
        assertThat(mostOpen.get()).isBetween(1, 2); // connectionsPerHost
        assertThat(statuses("key, reason, http, tries"))
                .hasSize(18)
                .contains(
                        "000000000000  200 1",
                        "000000000005 DownloadFailed 404 1",
                        "000000000006 DownloadFailed 503 2");

        // The tar: small files as they came, larger ones scaled.
        try (SampleTable table = SampleTable.open(root.resolve("out/web"), locations)) {
            List<byte[]> images = new ArrayList<>();
            for (int row = 0; row < table.rows(); row++) {
                for (int sample : table.row(row)) {
                    images.add(table.read(sample).image().orElseThrow());
                }
            }
            assertThat(images.stream().filter(image -> java.util.Arrays.equals(image, SMALL)))
                    .hasSize(4);
            Pixels scaled = new ImageDecoder()
                    .decode(images.stream()
                            .filter(image -> !java.util.Arrays.equals(image, SMALL))
                            .findFirst()
                            .orElseThrow());
            assertThat(scaled.width()).isEqualTo(45);
            assertThat(scaled.height()).isEqualTo(30);
        }
    }

    @Test
    void whatIsDoneIsNotAskedForAgain() throws Exception {
        Files.writeString(data.resolve("list.jsonl"), """
                {"url": "%s", "text": "one", "uid": "a"}
                {"url": "%s", "text": "two"}
                """.formatted(url("/small"), url("/gone")));
        String digest = build(rules("list.jsonl", 600, true)).digest();
        Path tar = root.resolve("out/web/downloads/web/00000000.tar");
        assertThat(build(rules("list.jsonl", 600, true)).digest()).isEqualTo(digest);
        assertThat(requests.get("/small").get()).isEqualTo(1);

        // Killed before the status was there, with half a file beside: this tar once more, nothing left behind.
        Files.delete(tar.resolveSibling("00000000.parquet"));
        Files.write(tar.resolveSibling(".00000000.tar.tmp-1-abc"), new byte[700]);
        assertThat(build(rules("list.jsonl", 600, true)).digest()).isEqualTo(digest);
        assertThat(requests.get("/small").get()).isEqualTo(2);
        try (var files = Files.list(tar.getParent())) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder("00000000.tar", "00000000.parquet");
        }
        // Another list is another download.
        Files.writeString(data.resolve("list.jsonl"), "{\"url\": \"" + url("/small3") + "\", \"text\": \"three\"}\n");
        assertThat(build(rules("list.jsonl", 600, true)).digest()).isNotEqualTo(digest);
        assertThat(requests.get("/small3").get()).isEqualTo(1);
    }

    @Test
    void robotsTxtIsAskedOnceAndHonoured() throws Exception {
        robots.set("User-agent: vlm-operator\nDisallow: /small-moved\nDisallow: /large\nAllow: /small$\n");
        List<String> lines = new ArrayList<>(List.of("url,text"));
        for (String path : List.of("/small", "/moved", "/large", "/small-moved?x", "/small4", "/small5")) {
            lines.add(url(path) + ",x " + path);
        }
        Files.write(data.resolve("list.csv"), lines);
        DatasetSummary summary = build(rules("list.csv", 600, true));
        assertThat(summary.samples()).isEqualTo(3);
        assertThat(reasons(summary)).isEqualTo(Map.of("DownloadRefused", 3L));
        assertThat(requests.get("/robots.txt").get()).isEqualTo(1);
        assertThat(requests).doesNotContainKeys("/large", "/small-moved");
        assertThat(statuses("key, reason, detail")).contains("000000000001 DownloadRefused robots.txt disallows it");

        UrlList deaf = new UrlList("pvc://data/list.csv", null, null, null, 30, 16, 2, 600, 1, 200_000, false, true);
        assertThat(build(deaf).samples()).isEqualTo(6);
        assertThat(requests.get("/robots.txt").get()).isEqualTo(1);

        // A host that can't say what it allows allows nothing.
        robots.set("broken");
        requests.clear();
        assertThatThrownBy(() -> build(rules("list.csv", 601, true))).hasMessageContaining("DownloadRefused 6");
        assertThat(requests).containsOnlyKeys("/robots.txt");
        // Nor does one whose rules are too long to be known.
        robots.set("#".repeat(RobotsText.MAX_BYTES + 1));
        assertThatThrownBy(() -> build(rules("list.csv", 602, true))).hasMessageContaining("DownloadRefused 6");
    }

    @Test
    void aSilentHostEndsAtTheDeadline() throws Exception {
        Files.write(data.resolve("list.csv"), List.of("url,text", url("/silent") + ",x"));
        UrlList rules = new UrlList("pvc://data/list.csv", null, null, null, null, null, null, 1, 0, null, null, true);
        assertThatThrownBy(() -> build(rules)).hasMessageContaining("DownloadTimeout 1");
    }

    @Test
    void addressesInsideAreNotAskedUnlessAllowed() throws Exception {
        Files.write(
                data.resolve("list.csv"),
                List.of("url,text", url("/small") + ",x", "http://[::1]:1/a,x", "http://169.254.169.254/latest,x"));
        assertThatThrownBy(() -> build(rules("list.csv", 600, false))).hasMessageContaining("DownloadRefused 3");
        assertThat(requests).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "10.1.2.3,true",
        "172.16.0.1,true",
        "192.168.1.1,true",
        "100.64.0.1,true",
        "127.0.0.2,true",
        "0.0.0.0,true",
        "198.18.0.1,true",
        "255.255.255.255,true",
        "169.254.1.1,true",
        "224.0.0.1,true",
        "::1,true",
        "fe80::1,true",
        "fd00::1,true",
        "::ffff:10.0.0.1,true",
        "64:ff9b::a00:1,true",
        "2002:a00:1::,true",
        "::127.0.0.1,true",
        "100::1,true",
        "2001::1,true",
        "8.8.8.8,false",
        "100.128.0.1,false",
        "2606:4700::1111,false",
        "172.32.0.1,false"
    })
    void insideIsWhatTheRegistriesSay(String address, boolean inside) throws IOException {
        assertThat(Fetcher.isInside(InetAddress.getByName(address))).isEqualTo(inside);
    }

    @Test
    void listsThatCantBeReadAreNamed() throws Exception {
        Files.writeString(data.resolve("list.csv"), "address,text\nx,y\n");
        Files.writeString(data.resolve("list.parquet"), "no Parquet");
        Files.writeString(data.resolve("list.txt"), "x");
        Files.writeString(data.resolve("none.csv"), "url,text\n");
        Map<String, String> messages = Map.of(
                "list.csv", "has no column url; it has address, text",
                "list.parquet", "can't be read",
                "list.txt", "unknown ending",
                "none.csv", "have no row");
        messages.forEach((name, message) -> assertThatThrownBy(() -> build(rules(name, 600, true)))
                .as(name)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                .hasMessageContaining(message));
    }
}
