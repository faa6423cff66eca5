package io.vlmoperator.trainer.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.storage.MisbehavingProxy.Fault;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.s3.S3Client;

/** A store, or the network before it, that fails: each call of {@link S3Store} against a real server behind a proxy. */
class BadDaysTest {
    private static final ObjectStore.Condition ALWAYS = new ObjectStore.Always();
    private static final ObjectStore.Condition ABSENT = new ObjectStore.IfAbsent();

    @TempDir
    Path folder;

    private MisbehavingProxy proxy;
    private ObjectStore store;
    private ObjectStore direct;

    @BeforeEach
    void start() throws Exception {
        proxy = new MisbehavingProxy(new S3Server());
        proxy.bucket("data");
        store = proxy.store();
        direct = proxy.behind().store();
    }

    @AfterEach
    void stop() throws Exception {
        proxy.close();
    }

    private static ObjectName name(String key) {
        return new ObjectName("data", key);
    }

    private Path file(String name, int size) throws IOException {
        byte[] content = new byte[size];
        new Random(size).nextBytes(content);
        return Files.write(folder.resolve(name), content);
    }

    private static byte[] content(ObjectStore from, String key) throws IOException {
        ObjectStore.Info info = from.find(name(key)).orElseThrow();
        try (ObjectInput in = new ObjectInput(from, info, 0, info.size())) {
            return in.readAllBytes();
        }
    }

    /** The first try of every request fails, whatever it is; what is asked for is done once all the same. */
    @ParameterizedTest
    @EnumSource(names = {"SLOW_DOWN", "INTERNAL_ERROR", "CLOSED", "CUT_REQUEST", "CUT_ANSWER", "LOST_ANSWER", "SKEWED"})
    void whatFailsOnceIsDone(Fault fault) throws IOException {
        Path small = file("small", 70_000);
        Path large = file("large", (5 << 20) + 11);
        proxy.firstTriesFail(fault);

        ObjectStore.Info first = store.put(name("a/fence"), small, ABSENT);
        store.put(name("a/large"), large, ABSENT);
        store.put(name("a/again"), small, ALWAYS);
        // A file that grows: only over the state that it had.
        Path grown = file("grown", 70_001);
        store.put(name("a/fence"), grown, new ObjectStore.IfUnchanged(first.etag()));

        assertThat(content(store, "a/fence")).isEqualTo(Files.readAllBytes(grown));
        assertThat(content(store, "a/large")).isEqualTo(Files.readAllBytes(large));
        assertThat(store.list(name("a"), 100).objects()).hasSize(3);
        assertThatThrownBy(() -> store.put(name("a/fence"), small, ABSENT))
                .isInstanceOf(FileAlreadyExistsException.class);
        assertThatThrownBy(() -> store.put(name("a/fence"), small, new ObjectStore.IfUnchanged(first.etag())))
                .isInstanceOf(FileAlreadyExistsException.class);
        store.delete(name("a/again"));
        assertThat(store.find(name("a/again"))).isEmpty();
        store.abortUploads(name("a/"));
        assertThat(proxy.faults()).isGreaterThan(10);

        proxy.plan((method, target) -> Fault.NONE);
        assertThat(content(direct, "a/fence")).isEqualTo(Files.readAllBytes(grown));
        assertThat(content(direct, "a/large")).isEqualTo(Files.readAllBytes(large));
        assertThat(direct.list(name("a"), 100).objects()).hasSize(2);
    }

    /** A client gives up on a silent server and asks again. */
    @Test
    void silenceEnds() throws IOException {
        S3Client client = proxy.builder(ObjectServer.KEY, ObjectServer.SECRET)
                .httpClientBuilder(UrlConnectionHttpClient.builder().socketTimeout(Duration.ofSeconds(5)))
                .build();
        ObjectStore patient = new S3Store(client, proxy.endpoint(), 5 << 20, 1000);
        Path small = file("small", 1000);
        proxy.firstTriesFail(Fault.SILENCE);
        patient.put(name("a"), small, ABSENT);
        assertThat(proxy.faults()).isEqualTo(1);
        assertThat(content(direct, "a")).isEqualTo(Files.readAllBytes(small));
    }

    /** What fails for good ends after a bounded number of tries, says why, and leaves what was there. */
    @ParameterizedTest
    @EnumSource(names = {"INTERNAL_ERROR", "CLOSED", "CUT_REQUEST", "EXPIRED", "SKEWED"})
    void whatFailsForGoodIsNamed(Fault fault) throws IOException {
        Path before = file("before", 500);
        ObjectStore.Info info = store.put(name("a"), before, ALWAYS);
        Path large = file("large", (5 << 20) + 11);
        proxy.plan((method, target) -> fault);
        Optional<String> words = switch (fault) {
            case EXPIRED -> Optional.of("have expired (ExpiredToken); renew");
            case SKEWED -> Optional.of("clock differs too much");
            case INTERNAL_ERROR -> Optional.of("InternalError");
            default -> Optional.empty();
        };
        boolean permanent = fault == Fault.EXPIRED || fault == Fault.SKEWED;
        assertNamed(() -> store.put(name("a"), file("small", 600), ALWAYS), "s3://data/a", words, permanent);
        assertNamed(() -> store.put(name("a"), large, ALWAYS), "s3://data/a", words, permanent);
        assertNamed(() -> store.list(name("x"), 10), "s3://data/x", words, permanent);
        assertNamed(() -> store.delete(name("a")), "s3://data/a", words, permanent);
        assertThatThrownBy(() -> new ObjectInput(store, info, 0, 500).readAllBytes())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("s3://data/a");
        assertThat(proxy.faults()).as("bounded").isLessThan(100);

        proxy.plan((method, target) -> Fault.NONE);
        assertThat(content(direct, "a")).isEqualTo(Files.readAllBytes(before));
        assertThat(direct.list(name(""), 100).objects()).hasSize(1);
    }

    private static void assertNamed(ThrowingCallable call, String name, Optional<String> words, boolean permanent) {
        assertThatThrownBy(call)
                .asInstanceOf(InstanceOfAssertFactories.type(StoreException.class))
                .satisfies(e -> {
                    assertThat(e.getMessage()).contains(name).contains(words.orElse(""));
                    assertThat(e.permanent()).isEqualTo(permanent);
                });
    }
}
