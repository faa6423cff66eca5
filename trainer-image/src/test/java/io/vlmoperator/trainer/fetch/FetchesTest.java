package io.vlmoperator.trainer.fetch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.S3Server;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Models and data from a hub that misbehaves, from urls and from folders of storage. */
class FetchesTest {
    private static final Download.Rules RULES =
            new Download.Rules(4, Duration.ofMillis(1), Duration.ofMillis(5), 5 << 20);
    private static final Http HTTP = new Http(Duration.ofSeconds(60), Duration.ofSeconds(60));

    @TempDir
    Path root;

    private HubServer hub;
    private final List<String> log = new ArrayList<>();
    private final List<FetchProgress> told = new ArrayList<>();

    @BeforeEach
    void start() throws IOException {
        hub = new HubServer();
        byte[] weights = new byte[700_000];
        new Random(1).nextBytes(weights);
        hub.files.put("config.json", "{\"a\": 1}".getBytes(StandardCharsets.UTF_8));
        hub.files.put("model.safetensors", weights);
        hub.files.put("sub folder/a b.txt", "text".getBytes(StandardCharsets.UTF_8));
        hub.files.put(".gitattributes", "x".getBytes(StandardCharsets.UTF_8));
    }

    @AfterEach
    void stop() {
        hub.close();
    }

    private Fetches fetches(String... more) {
        Map<String, String> environment = more.length == 0
                ? Map.of("HF_ENDPOINT", hub.endpoint() + "/")
                : Map.of("HF_ENDPOINT", hub.endpoint(), more[0], more[1]);
        return Fetches.of(Locations.of(Map.of()), environment, HTTP, RULES, new Fetches.Listener() {
            @Override
            public void say(String line) {
                synchronized (log) {
                    log.add(line);
                }
            }

            @Override
            public void far(FetchProgress progress, Optional<Long> etaSeconds) {
                synchronized (log) {
                    told.add(progress);
                }
            }
        });
    }

    private Path to() {
        return root.resolve("model");
    }

    private Fetch repository(String revision, String... files) {
        return new Fetch(
                Locations.fileLocation(to()),
                new Fetch.HuggingFace(HubServer.REPOSITORY, revision, null, List.of(files)),
                null,
                null);
    }

    private Fetch url(byte[] content, String sha256) {
        hub.files.put("data.bin", content);
        String url = hub.endpoint() + "/" + HubServer.REPOSITORY + "/resolve/" + HubServer.COMMIT + "/data.bin";
        return new Fetch(Locations.fileLocation(to()), null, List.of(new Fetch.Url(url, sha256, null)), null);
    }

    private void assertWhole() throws IOException {
        for (String name : List.of("config.json", "model.safetensors", "sub folder/a b.txt")) {
            assertThat(Files.readAllBytes(to().resolve(name))).as(name).isEqualTo(hub.files.get(name));
        }
        assertThat(names(to()))
                .containsExactlyInAnyOrder("config.json", "model.safetensors", "sub folder/a b.txt", Fetches.LIST);
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile)
                    .map(f -> folder.relativize(f).toString())
                    .toList();
        }
    }

    private void assertFails(Fetch fetch, ExitCode code, String... words) {
        assertThatThrownBy(() -> fetches().bring(fetch)).isInstanceOfSatisfying(TrainerException.class, e -> {
            assertThat(e.code()).as(e.getMessage()).isEqualTo(code);
            assertThat(e.getMessage()).contains(words);
        });
        assertThat(to().resolve(Fetches.LIST)).doesNotExist();
    }

    @Test
    void aRevisionIsBroughtOnce() throws IOException {
        Fetches fetches = fetches();
        fetches.bring(repository(null));
        assertWhole();
        assertThat(Files.readString(to().resolve(Fetches.LIST)))
                .contains("team/tiny@" + HubServer.COMMIT, "sha256:", "git_blob:");
        assertThat(log).anyMatch(line -> line.contains("3 of 3 files"));
        long all = hub.files.get("config.json").length + 700_000L + 4;
        assertThat(told).last().isEqualTo(new FetchProgress("team/tiny@" + HubServer.COMMIT, 3L, 3L, all, all, 100));

        int before = hub.seen.size();
        fetches.bring(repository(null));
        assertThat(hub.seen).hasSize(before);
        Files.delete(to().resolve(Fetches.LIST));
        fetches.bring(repository(null));
        assertThat(hub.seen).as("the list only: the files are compared with it").hasSize(before + 1);
        assertWhole();
    }

    @Test
    void onlyWhatIsWanted() throws IOException {
        fetches().bring(repository("main", "*.json", "**/*.txt"));
        assertThat(names(to())).containsExactlyInAnyOrder("config.json", "sub folder/a b.txt", Fetches.LIST);
        assertThat(fetches().isDone(repository("main", "*.json"))).isFalse();
    }

    @Test
    void theTokenGoesToTheHubOnly() throws IOException {
        hub.token = "hf_secret";
        fetches("HF_TOKEN", " hf_secret\n").bring(repository(null));
        assertWhole();
        assertThat(hub.seen)
                .filteredOn(s -> s.server().equals("hub"))
                .allMatch(s -> "Bearer hf_secret".equals(s.authorization()));
        assertThat(hub.seen)
                .filteredOn(s -> s.server().equals("content"))
                .isNotEmpty()
                .allMatch(s -> s.authorization() == null);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 99_999, 350_000, 699_999})
    void aBodyThatIsCutIsGoneOnWith(int bytes) throws IOException {
        AtomicInteger cuts = new AtomicInteger();
        hub.atContent = exchange -> {
            if (cuts.incrementAndGet() > 3) {
                return false;
            }
            HubServer.cut(exchange, hub.files.get("model.safetensors"), bytes);
            return true;
        };
        fetches().bring(repository(null));
        assertWhole();
        if (bytes > 0) {
            assertThat(hub.seen).anyMatch(s -> ("bytes=" + bytes + "-").equals(s.range()));
        }
    }

    @Test
    void aProgramThatEndsIsGoneOnWith() throws IOException {
        hub.atContent = exchange -> {
            HubServer.cut(exchange, hub.files.get("model.safetensors"), 100_000);
            return true;
        };
        Fetch fetch = repository(null, "model.safetensors");
        Fetches once = Fetches.of(
                Locations.of(Map.of()),
                Map.of("HF_ENDPOINT", hub.endpoint()),
                HTTP,
                new Download.Rules(1, Duration.ZERO, Duration.ZERO, 5 << 20),
                line -> {});
        assertThatThrownBy(() -> once.bring(fetch)).hasMessageContaining("broke off at byte 100000");
        assertThat(to().resolve("model.safetensors")).doesNotExist();

        hub.atContent = exchange -> false;
        hub.seen.clear();
        fetches().bring(fetch);
        assertThat(hub.seen).anyMatch(s -> "bytes=100000-".equals(s.range()));
        assertThat(Files.readAllBytes(to().resolve("model.safetensors"))).isEqualTo(hub.files.get("model.safetensors"));
    }

    @Test
    void aServerThatKnowsNoRangesIsAskedForAll() throws IOException {
        AtomicInteger calls = new AtomicInteger();
        byte[] weights = hub.files.get("model.safetensors");
        hub.atContent = exchange -> {
            HubServer.sendAll(exchange, weights, calls.incrementAndGet() == 1 ? 5_000 : weights.length);
            return true;
        };
        fetches().bring(repository(null));
        assertWhole();
    }

    @Test
    void damagedPartsAreFetchedAgainAndWrongContentIsRefused() throws IOException {
        AtomicInteger calls = new AtomicInteger();
        byte[] wrong = hub.files.get("model.safetensors").clone();
        wrong[wrong.length / 2] ^= 1;
        hub.atContent = exchange -> {
            if (calls.incrementAndGet() > 1) {
                return false;
            }
            HubServer.send(exchange, wrong);
            return true;
        };
        fetches().bring(repository(null));
        assertWhole();

        Files.write(to().resolve("model.safetensors"), wrong);
        Files.delete(to().resolve(Fetches.LIST));
        fetches().bring(repository(null));
        assertWhole();

        hub.atContent = exchange -> {
            HubServer.send(exchange, wrong);
            return true;
        };
        Files.delete(to().resolve("model.safetensors"));
        Files.delete(to().resolve(Fetches.LIST));
        assertFails(repository(null), ExitCode.InvalidData, "not what was announced", "sha256:", "model.safetensors");
        assertThat(to().resolve("model.safetensors")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(ints = {429, 500, 503})
    void passingRefusalsAreTriedAgain(int status) throws IOException {
        AtomicInteger calls = new AtomicInteger();
        hub.atHub = exchange -> {
            if (calls.incrementAndGet() % 2 == 0) {
                return false;
            }
            exchange.getResponseHeaders().add("Retry-After", "0");
            HubServer.answer(exchange, status, "slow down".getBytes(StandardCharsets.UTF_8));
            return true;
        };
        fetches().bring(repository(null));
        assertWhole();

        hub.atHub = exchange -> {
            HubServer.answer(exchange, status, "slow down".getBytes(StandardCharsets.UTF_8));
            return true;
        };
        Files.delete(to().resolve(Fetches.LIST));
        assertFails(repository(null), ExitCode.StorageFailed, Integer.toString(status), "slow down");
    }

    @Test
    void refusalsSayWhatToDo() {
        hub.token = "other";
        assertFails(repository(null), ExitCode.InvalidConfiguration, "gated", "accept its terms", "HF_TOKEN");
        hub.token = "";
        assertFails(repository("nowhere"), ExitCode.InvalidConfiguration, "no revision nowhere");
        Fetch unknown = new Fetch(
                Locations.fileLocation(to()), new Fetch.HuggingFace("team/none", null, null, null), null, null);
        assertFails(unknown, ExitCode.InvalidConfiguration, "no such model repository", "private", hub.endpoint());
        assertFails(repository(null, "*.gguf"), ExitCode.InvalidConfiguration, "no file that is wanted");
        for (int status : new int[] {403, 404}) {
            hub.atHub = exchange -> {
                HubServer.answer(exchange, status, new byte[0]);
                return true;
            };
            assertFails(repository(null), ExitCode.InvalidConfiguration, Integer.toString(status), "HF_TOKEN");
        }
        hub.atHub = exchange -> {
            HubServer.answer(exchange, 200, "<html>".getBytes(StandardCharsets.UTF_8));
            return true;
        };
        assertFails(repository(null), ExitCode.InvalidData, "something else than JSON");
    }

    @Test
    void redirectsEnd() {
        hub.atHub = exchange -> {
            exchange.getResponseHeaders()
                    .add("Location", exchange.getRequestURI().toString());
            exchange.sendResponseHeaders(302, -1);
            return true;
        };
        assertFails(repository(null), ExitCode.InvalidConfiguration, "redirects more than 10 times");
    }

    @Test
    void namesThatClimbAreRefused() {
        hub.files.put("../../outside.txt", "x".getBytes(StandardCharsets.UTF_8));
        assertFails(repository(null), ExitCode.InvalidData, "no name of a file");
        assertThat(FetchList.isSafe("a/b.txt")).isTrue();
        for (String name : List.of("", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a\\b", "a\nb")) {
            assertThat(FetchList.isSafe(name)).as(name).isFalse();
        }
    }

    @Test
    void plainUrlsAreComparedWithTheirDigest() throws IOException {
        byte[] content = "plain".getBytes(StandardCharsets.UTF_8);
        String sha256 = HubServer.sha256(content);
        fetches().bring(url(content, sha256.toUpperCase(java.util.Locale.ROOT)));
        assertThat(Files.readAllBytes(to().resolve("data.bin"))).isEqualTo(content);
        assertThat(told).last().isEqualTo(new FetchProgress("urls", 1L, 1L, 5L, 5L, 100));

        Files.delete(to().resolve("data.bin"));
        Files.delete(to().resolve(Fetches.LIST));
        assertFails(
                url("other".getBytes(StandardCharsets.UTF_8), sha256),
                ExitCode.InvalidData,
                "not what was announced",
                sha256);
        assertThat(to().resolve("data.bin")).doesNotExist();
    }

    @Test
    void betweenAnS3PrefixAndAFolder() throws Exception {
        try (S3Server server = new S3Server()) {
            server.bucket("models");
            Buckets buckets = server.buckets(root.resolve("cache"));
            Locations locations = Locations.of(Map.of()).with(buckets);
            Fetches fetches = Fetches.of(locations, Map.of("HF_ENDPOINT", hub.endpoint()), HTTP, RULES, line -> {});
            String bucket = "s3://models/tiny";
            fetches.bring(new Fetch(bucket, new Fetch.HuggingFace(HubServer.REPOSITORY, null, null, null), null, null));
            assertThat(Files.readAllBytes(buckets.path(bucket).resolve("model.safetensors")))
                    .isEqualTo(hub.files.get("model.safetensors"));

            Fetch copy = new Fetch(
                    Locations.fileLocation(to()), null, null, new Fetch.Folder(bucket, List.of("*.*", "**/*.txt")));
            fetches.bring(copy);
            assertThat(names(to())).contains("config.json", "model.safetensors", "sub folder/a b.txt");
            assertThat(Files.readAllBytes(to().resolve("model.safetensors")))
                    .isEqualTo(hub.files.get("model.safetensors"));
            assertThatThrownBy(() -> fetches.bring(new Fetch(
                            Locations.fileLocation(to()), null, null, new Fetch.Folder("s3://models/none", null))))
                    .hasMessageContaining("is no folder");
        }
    }
}
