package io.vlmoperator.trainer.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.MultipartUpload;

/** What a server that speaks S3 must do, seen through the trainer's own paths and clients; each kind of server has a subclass. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class StoreContract {
    private static final long PATIENCE = 60_000;

    private ObjectServer server;

    @TempDir
    Path folder;

    private Buckets buckets;
    private Path root;

    /** Starts one. */
    abstract ObjectServer open() throws Exception;

    @BeforeAll
    void start() throws Exception {
        server = open();
        server.bucket("data");
    }

    @AfterAll
    void stop() throws Exception {
        if (server != null) {
            server.close();
        }
    }

    @BeforeEach
    void open(TestInfo info) throws IOException {
        buckets = server.buckets(folder.resolve("cache"));
        root = buckets.path("s3://data/" + info.getTestMethod().orElseThrow().getName());
    }

    @Test
    void filesAreWrittenReadAndListed() throws IOException {
        Path file = root.resolve("a/b.txt");
        Files.createDirectories(file.getParent());
        Files.writeString(file, "hello");
        Files.writeString(root.resolve("c.txt"), "there");

        assertThat(Files.readString(file)).isEqualTo("hello");
        assertThat(Files.size(file)).isEqualTo(5);
        assertThat(Files.isRegularFile(file)).isTrue();
        assertThat(Files.isDirectory(root.resolve("a"))).isTrue();
        assertThat(Files.exists(root.resolve("d"))).isFalse();
        assertThat(Files.getLastModifiedTime(file).toMillis()).isPositive();
        assertThat(names(root)).containsExactlyInAnyOrder("a", "c.txt");
        try (InputStream in = Files.newInputStream(file)) {
            assertThat(in.readAllBytes()).asString().isEqualTo("hello");
        }
        assertThat(file).hasToString("s3://data/filesAreWrittenReadAndListed/a/b.txt");
        assertThatThrownBy(() -> Files.readString(root.resolve("d"))).isInstanceOf(NoSuchFileException.class);
        assertThatThrownBy(() -> names(root.resolve("d"))).isInstanceOf(NoSuchFileException.class);
        assertThatThrownBy(() -> Files.delete(root.resolve("a"))).isInstanceOf(DirectoryNotEmptyException.class);
        Files.delete(file);
        assertThat(Files.exists(file)).isFalse();
        assertThat(Files.deleteIfExists(file)).isFalse();
    }

    @Test
    void aNameWithADotStaysHereUntilItGetsAnother() throws IOException {
        Path temporary = root.resolve(".x.tmp-1");
        Files.writeString(temporary, "whole");
        Path other = server.buckets(folder.resolve("other")).path(root.toString());
        assertThat(Files.exists(other)).isFalse();
        assertThat(names(root)).containsExactly(".x.tmp-1");

        Files.move(temporary, root.resolve("x"), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        assertThat(names(root)).containsExactly("x");
        assertThat(Files.readString(other.resolve("x"))).isEqualTo("whole");
        assertThat(Files.exists(temporary)).isFalse();
    }

    @Test
    void largeFilesGoUpInPartsAndAreReadInPlaceAndMapped() throws IOException {
        byte[] content = new byte[(11 << 20) + 17];
        new Random(1).nextBytes(content);
        Path file = root.resolve("large.tar");
        Files.write(file, content);

        Random random = new Random(2);
        try (FileChannel channel = FileChannel.open(file)) {
            assertThat(channel.size()).isEqualTo(content.length);
            for (int i = 0; i < 20; i++) {
                int from = random.nextInt(content.length);
                ByteBuffer bytes = ByteBuffer.allocate(Math.min(content.length - from, 1 + random.nextInt(300_000)));
                while (bytes.hasRemaining()) {
                    assertThat(channel.read(bytes, from + bytes.position())).isPositive();
                }
                assertThat(bytes.flip()).isEqualTo(ByteBuffer.wrap(content, from, bytes.limit()));
            }
            assertThat(channel.read(ByteBuffer.allocate(1), content.length)).isEqualTo(-1);
            try (Arena arena = Arena.ofConfined()) {
                assertThat(channel.map(MapMode.READ_ONLY, 0, content.length, arena)
                                .toArray(ValueLayout.JAVA_BYTE))
                        .isEqualTo(content);
            }
        }
        assertThat(Files.readAllBytes(file)).isEqualTo(content);
    }

    /** At the same moment, where the server looks and writes in one; S3Proxy does not, so there one after the other. */
    @Test
    void ofSeveralWhoCreateOneSucceeds() throws Exception {
        Path fence = root.resolve("attempt-00001");
        int writers = 8;
        List<Callable<Boolean>> tries = new ArrayList<>();
        for (int i = 0; i < writers; i++) {
            Path own = root.resolve(".attempt." + i);
            Files.writeString(own, "I am " + i);
            tries.add(() -> {
                try {
                    Files.createLink(fence, own);
                    return true;
                } catch (FileAlreadyExistsException e) {
                    assertThat(e.getMessage()).contains(fence.toString());
                    return false;
                }
            });
        }
        List<Integer> won = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(server.isAtomic() ? writers : 1)) {
            List<Future<Boolean>> answers = threads.invokeAll(tries);
            for (int i = 0; i < writers; i++) {
                if (answers.get(i).get()) {
                    won.add(i);
                }
            }
        }
        assertThat(won).hasSize(1);
        assertThat(Files.readString(fence)).isEqualTo("I am " + won.getFirst());
        assertThatThrownBy(() -> Files.writeString(fence, "late", StandardOpenOption.CREATE_NEW))
                .isInstanceOf(FileAlreadyExistsException.class);
        // Whoever lost the answer and asks again has won all the same.
        Path own = root.resolve(".attempt.again");
        Files.writeString(own, "I am " + won.getFirst());
        Files.createLink(fence, own);
    }

    @Test
    void aGrowingFileIsSeenWhileItGrowsAndBelongsToItsLastWriter() throws Exception {
        Path file = root.resolve("metrics.jsonl");
        Files.writeString(file, "one\n");
        try (FileChannel mine = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            mine.write(ByteBuffer.wrap("two\n".getBytes(StandardCharsets.UTF_8)));
            await(file, "one\ntwo\n");
            mine.write(ByteBuffer.wrap("three\n".getBytes(StandardCharsets.UTF_8)));
            await(file, "one\ntwo\nthree\n");

            Files.writeString(file, "another attempt's\n");
            mine.write(ByteBuffer.wrap("four\n".getBytes(StandardCharsets.UTF_8)));
        }
        assertThat(Files.readString(file)).isEqualTo("another attempt's\n");
    }

    private static void await(Path file, String content) throws Exception {
        long end = System.nanoTime() + PATIENCE * 1_000_000;
        while (!read(file).equals(content)) {
            assertThat(System.nanoTime()).as("waiting for " + content).isLessThan(end);
            Thread.sleep(20);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return ""; // it changed in this moment
        }
    }

    @Test
    void foldersGetTheirNameWithAllTheirFiles() throws IOException {
        Path building = root.resolve(".step.tmp");
        Files.createDirectories(building.resolve("inner"));
        Files.writeString(building.resolve("config.json"), "{}");
        Files.writeString(building.resolve("inner/tokenizer.json"), "[]");
        Path to = root.resolve("step");
        Files.move(building, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);

        assertThat(names(to)).containsExactlyInAnyOrder("config.json", "inner");
        assertThat(Files.readString(to.resolve("inner/tokenizer.json"))).isEqualTo("[]");
        assertThat(Files.exists(building)).isFalse();
        Path local = Buckets.local(to.resolve("config.json"));
        assertThat(Files.readString(local)).isEqualTo("{}");
        assertThat(local.toString()).endsWith("config.json");
        assertThat(Buckets.local(Path.of("/x"))).isEqualTo(Path.of("/x"));
    }

    @Test
    void copiesOfAnotherProgramAreCheckedAndMadeAgain() throws IOException {
        Path file = root.resolve("model.safetensors");
        Files.write(file, new byte[] {1, 2, 3});
        Path copy = Buckets.local(file);
        Files.write(copy, new byte[] {1, 2, 4}); // a damaged disk

        Path again = server.buckets(folder.resolve("cache")).path(file.toString());
        assertThat(Files.readAllBytes(Buckets.local(again))).containsExactly(1, 2, 3);
        Files.write(file, new byte[] {5});
        assertThat(Files.readAllBytes(Buckets.local(again))).containsExactly(5);
    }

    @Test
    void theCacheIsBounded() throws IOException {
        Buckets small = Buckets.of(server.store(), folder.resolve("small"), 1000, Duration.ofSeconds(1));
        Files.write(root.resolve("big"), new byte[1001]);
        assertThatThrownBy(() -> Buckets.local(small.path(root.toString()).resolve("big")))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("VLM_CACHE");
    }

    private S3Client client() {
        return server.client(ObjectServer.KEY, ObjectServer.SECRET);
    }

    private String key(String name) {
        return root.resolve(name).toString().substring("s3://data/".length());
    }

    private List<String> unfinished(S3Client client, String key) {
        return client.listMultipartUploads(r -> r.bucket("data").prefix(key)).uploads().stream()
                .map(MultipartUpload::key)
                .filter(key::equals)
                .toList();
    }

    @Test
    void unfinishedUploadsAreEnded() throws IOException {
        try (S3Client client = client()) {
            String key = key("rank-0.safetensors");
            client.createMultipartUpload(r -> r.bucket("data").key(key));
            String elsewhere = key + "-not";
            client.createMultipartUpload(r -> r.bucket("data").key(elsewhere));
            assertThat(unfinished(client, key)).hasSize(1);

            // The next writer of a key ends those that another one has left.
            Files.write(root.resolve("rank-0.safetensors"), new byte[(5 << 20) + 1]);
            assertThat(unfinished(client, key)).isEmpty();
            assertThat(unfinished(client, elsewhere)).hasSize(1);

            // So does whoever takes over the folder, where the server lists them: MinIO does not, and ends them itself
            // after a day.
            assertThat(Buckets.abortUploads(root)).isEqualTo(server.listsUploadsOfFolders() ? 1 : 0);
            assertThat(Buckets.abortUploads(root)).isZero();
            assertThat(Buckets.abortUploads(folder)).isZero();
        }
    }

    /** A writer that dies in mid-body, in one piece and in parts: nothing new is seen, what was there stays. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aKilledWriterLeavesNothing(boolean over) throws IOException {
        Path file = root.resolve("killed-" + over);
        if (over) {
            Files.writeString(file, "before");
        }
        int size = 6 << 20;
        try (S3Client client = server.builder(ObjectServer.KEY, ObjectServer.SECRET)
                .overrideConfiguration(c -> c.retryStrategy(r -> r.maxAttempts(1)))
                .build()) {
            String key = key("killed-" + over);
            assertThatThrownBy(() -> client.putObject(r -> r.bucket("data").key(key), dying(size)))
                    .isInstanceOf(SdkException.class);
            String upload =
                    client.createMultipartUpload(r -> r.bucket("data").key(key)).uploadId();
            client.uploadPart(
                    r -> r.bucket("data").key(key).uploadId(upload).partNumber(1),
                    RequestBody.fromBytes(new byte[5 << 20]));
            assertThatThrownBy(() -> client.uploadPart(
                            r -> r.bucket("data").key(key).uploadId(upload).partNumber(2), dying(size)))
                    .isInstanceOf(SdkException.class);
        }
        Path seen = server.buckets(folder.resolve("other")).path(file.toString());
        if (over) {
            assertThat(Files.readString(seen)).isEqualTo("before");
        } else {
            assertThat(Files.exists(seen)).isFalse();
        }
        Files.write(file, new byte[size]);
        assertThat(Files.size(seen)).isEqualTo(size);
    }

    /** A body that breaks off after half of its bytes. */
    private static RequestBody dying(int size) {
        return RequestBody.fromContentProvider(
                () -> new InputStream() {
                    private int left = size / 2;

                    @Override
                    public int read() throws IOException {
                        return read(new byte[1], 0, 1) < 0 ? -1 : 0;
                    }

                    @Override
                    public int read(byte[] bytes, int offset, int length) throws IOException {
                        if (left <= 0) {
                            throw new IOException("killed");
                        }
                        int n = Math.min(left, length);
                        left -= n;
                        return n;
                    }
                },
                size,
                "application/octet-stream");
    }

    @Test
    void listsOfSeveralPagesAndOddNames() throws IOException {
        List<String> names = List.of("a b", "a+b", "ä\u4e2d", "a%20b", "(x)", "a=b&c", "plain", "zero", "'q'");
        for (String name : names) {
            Files.writeString(root.resolve(name), name.equals("zero") ? "" : name);
            Files.writeString(root.resolve("in-" + name).resolve("x"), name);
        }
        List<String> all = new ArrayList<>(names);
        names.forEach(name -> all.add("in-" + name));
        assertThat(names(root)).containsExactlyInAnyOrderElementsOf(all);
        Path seen = server.buckets(folder.resolve("other")).path(root.toString());
        for (String name : names) {
            assertThat(Files.readString(seen.resolve(name))).isEqualTo(name.equals("zero") ? "" : name);
        }
    }

    @Test
    void signaturesAreOfVersionFourAndNeeded() throws Exception {
        Files.writeString(root.resolve("a"), "secret");
        String url = server.endpoint() + "/data/" + key("a");
        AtomicReference<String> authorization = new AtomicReference<>("");
        ExecutionInterceptor listening = new ExecutionInterceptor() {
            @Override
            public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
                SdkHttpRequest request = context.httpRequest();
                authorization.set(request.firstMatchingHeader("Authorization").orElse(""));
                assertThat(request.getUri()).asString().isEqualTo(url); // the bucket is part of the path
            }
        };
        try (S3Client client = server.builder(ObjectServer.KEY, ObjectServer.SECRET)
                .overrideConfiguration(c -> c.addExecutionInterceptor(listening))
                .build()) {
            assertThat(client.getObjectAsBytes(r -> r.bucket("data").key(key("a")))
                            .asUtf8String())
                    .isEqualTo("secret");
        }
        assertThat(authorization.get()).startsWith("AWS4-HMAC-SHA256 ");
        try (HttpClient plain = HttpClient.newHttpClient()) {
            assertThat(plain.send(
                                    HttpRequest.newBuilder(URI.create(url)).build(),
                                    HttpResponse.BodyHandlers.discarding())
                            .statusCode())
                    .isEqualTo(403);
        }
    }

    @Test
    void theEnvironmentNamesServerAndKeys() throws IOException {
        Map<String, String> environment = server.environment(folder.resolve("third"));
        Buckets own = Buckets.of(environment);
        Files.writeString(own.path(root.toString()).resolve("x"), "there");
        assertThat(Files.readString(root.resolve("x"))).isEqualTo("there");
        Map<String, String> others = new java.util.HashMap<>(environment);
        others.put("AWS_ACCESS_KEY_ID", "somebody");
        assertConfiguration(Buckets.of(others), "s3://data/x", "not accepted", "AWS_ACCESS_KEY_ID");
    }

    @Test
    void errorsSayWhatToDo() throws IOException {
        assertConfiguration(buckets, "s3://nowhere/x", "no bucket nowhere", server.endpoint());
        Buckets wrong = Buckets.of(
                server.store(ObjectServer.KEY, "wrong-secret"), folder.resolve("wrong"), 1000, Duration.ofSeconds(1));
        assertConfiguration(wrong, "s3://data/x", "not accepted", "AWS_SECRET_ACCESS_KEY");
        assertConfiguration(buckets, "s3://UPPER/x", "no location");
        assertConfiguration(buckets, "s3://data/a/.hidden/b", "begins with a dot");
    }

    private static void assertConfiguration(Buckets buckets, String location, String... words) {
        assertThatThrownBy(() -> buckets.path(location))
                .asInstanceOf(InstanceOfAssertFactories.type(TrainerException.class))
                .satisfies(e -> {
                    assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration);
                    assertThat(e.getMessage()).contains(words);
                });
    }

    @Test
    void aFileThatChangesWhileItIsReadIsAnError() throws IOException {
        Path file = root.resolve("a.tar");
        Files.write(file, new byte[1 << 20]);
        try (FileChannel channel = FileChannel.open(file)) {
            channel.read(ByteBuffer.allocate(10), 0);
            Files.write(file, new byte[(1 << 20) + 1]);
            assertThatThrownBy(() -> channel.read(ByteBuffer.allocate(10), 900_000))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("changed while it was read");
        }
    }

    private static List<String> names(Path folder) throws IOException {
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            return java.util.stream.StreamSupport.stream(entries.spliterator(), false)
                    .map(p -> p.getFileName().toString())
                    .toList();
        }
    }
}
