package io.vlmoperator.trainer.fetch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.FailingStore;
import io.vlmoperator.trainer.storage.S3Server;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What has come of a download to a bucket outlives the program and its node. */
class FetchToBucketTest {
    private static final Http HTTP = new Http(Duration.ofSeconds(60), Duration.ofSeconds(60));
    private static final String FILE = "model.safetensors";
    private static final String BUCKET = "s3://models/tiny";
    private static final Fetch ALL =
            new Fetch(BUCKET, new Fetch.HuggingFace(HubServer.REPOSITORY, null, null, List.of(FILE)), null, null);

    @TempDir
    Path root;

    private HubServer hub;
    private int nodes;

    @BeforeEach
    void start() throws IOException {
        hub = new HubServer();
    }

    @AfterEach
    void stop() {
        hub.close();
    }

    private byte[] content(int bytes) {
        byte[] content = new byte[bytes];
        new Random(5).nextBytes(content);
        hub.files.put(FILE, content);
        return content;
    }

    /** A node of its own: nothing of the one before is there. */
    private Path node() {
        return root.resolve("node" + nodes++);
    }

    private void bring(Buckets buckets, long piece) {
        Fetches.of(
                        Locations.of(Map.of()).with(buckets),
                        Map.of("HF_ENDPOINT", hub.endpoint()),
                        HTTP,
                        new Download.Rules(1, Duration.ZERO, Duration.ZERO, piece),
                        line -> {})
                .bring(ALL);
    }

    @Test
    void aProgramThatEndsIsGoneOnWithOnAnotherNode() throws Exception {
        int piece = 5 << 20;
        byte[] content = content(3 * piece + 12_345);
        try (S3Server server = new S3Server()) {
            server.bucket("models");
            for (int bytes : new int[] {2 * piece + 77, 100}) {
                hub.atContent = exchange -> {
                    HubServer.cut(exchange, content, bytes);
                    return true;
                };
                assertThatThrownBy(() -> bring(server.buckets(node()), piece))
                        .hasMessageContaining("broke off at byte");
            }
            Path there = server.buckets(node()).path(BUCKET);
            assertThat(Files.exists(there.resolve(FILE))).isFalse();

            hub.atContent = exchange -> false;
            hub.seen.clear();
            bring(server.buckets(node()), piece);
            assertThat(hub.seen)
                    .filteredOn(seen -> seen.server().equals("content"))
                    .singleElement()
                    .satisfies(seen -> assertThat(seen.range()).isEqualTo("bytes=" + 2 * piece + "-"));
            assertThat(Files.readAllBytes(there.resolve(FILE))).isEqualTo(content);
            assertThat(Files.exists(there.resolve(UnderWay.NAME))).isFalse();
            assertThat(Files.exists(there.resolve(Fetches.LIST))).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource(FailingStore.When.class)
    void anEndAtAnyCallOfTheStoreLeavesNoHalfFile(FailingStore.When when) throws IOException {
        byte[] content = content(3_500);
        boolean more = true;
        int resumed = 0;
        for (int call = 0; more; call++) {
            assertThat(call).isLessThan(500);
            FailingStore store = new FailingStore();
            store.fail(call, when);
            attempt(store);
            more = store.calls() > call; // there was such a call
            store.fail(-1, when);
            byte[] half = store.contents().get(BUCKET + "/" + FILE);
            if (half != null) {
                assertThat(half).isEqualTo(content);
            }
            hub.seen.clear();
            bring(store.buckets(node()), 1_000);
            resumed += (int) hub.seen.stream().filter(s -> s.range() != null).count();
            assertThat(store.contents().get(BUCKET + "/" + FILE)).isEqualTo(content);
            assertThat(store.contents()).containsOnlyKeys(BUCKET + "/" + FILE, BUCKET + "/" + Fetches.LIST);
        }
        assertThat(resumed).as("some went on behind pieces that were there").isPositive();
    }

    private void attempt(FailingStore store) throws IOException {
        try {
            bring(store.buckets(node()), 1_000);
        } catch (TrainerException e) {
            assertThat(e.getMessage()).contains("the ");
        }
    }

    @Test
    void piecesThatWereDamagedOrAreOfSomethingElseAreFetchedAgain() throws IOException {
        byte[] content = content(3_500);
        FailingStore store = new FailingStore();
        hub.atContent = exchange -> {
            HubServer.cut(exchange, content, 2_500);
            return true;
        };
        assertThatThrownBy(() -> bring(store.buckets(node()), 1_000)).hasMessageContaining("broke off at byte 2500");
        Path folder = store.buckets(node()).path(BUCKET).resolve(UnderWay.NAME);
        List<String> pieces = store.contents().keySet().stream()
                .filter(name -> name.matches(".*-\\d+"))
                .toList();
        assertThat(pieces).hasSize(2);
        byte[] bad = Arrays.copyOf(content, 1_000);
        bad[17] ^= 1;
        Files.write(folder.resolve(pieces.get(0).replaceFirst(".*/", "")), bad);
        Files.write(folder.resolve("0123456789abcdef-00000"), bad);
        hub.atContent = exchange -> false;
        bring(store.buckets(node()), 1_000);
        assertThat(store.contents()).containsOnlyKeys(BUCKET + "/" + FILE, BUCKET + "/" + Fetches.LIST);
        assertThat(store.contents().get(BUCKET + "/" + FILE)).isEqualTo(content);
    }

    @Test
    void aServerThatKnowsNoRangesIsAskedForAll() throws IOException {
        byte[] content = content(4_000); // pieces that are all full
        FailingStore store = new FailingStore();
        hub.atContent = exchange -> {
            HubServer.sendAll(exchange, content, 2_500);
            return true;
        };
        assertThatThrownBy(() -> bring(store.buckets(node()), 1_000)).hasMessageContaining("broke off");
        hub.atContent = exchange -> {
            HubServer.sendAll(exchange, content, content.length);
            return true;
        };
        bring(store.buckets(node()), 1_000);
        assertThat(store.contents().get(BUCKET + "/" + FILE)).isEqualTo(content);
        assertThat(store.contents()).hasSize(2);
    }
}
