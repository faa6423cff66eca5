package io.vlmoperator.trainer.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
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
import java.util.Random;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Buckets of a real S3 server, used like folders. */
class BucketsTest {
    private static final long PATIENCE = 60_000;

    private static S3Server server;

    @TempDir
    Path folder;

    private Buckets buckets;
    private Path root;

    @BeforeAll
    static void start() throws Exception {
        server = new S3Server();
        server.bucket("data");
    }

    @AfterAll
    static void stop() throws Exception {
        server.close();
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

    /** One after the other: this server looks first and writes then, which S3 does in one. */
    @Test
    void ofSeveralWhoCreateOneSucceeds() throws Exception {
        Path fence = root.resolve("attempt-00001");
        List<Integer> won = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Path own = root.resolve(".attempt." + i);
            Files.writeString(own, "I am " + i);
            try {
                Files.createLink(fence, own);
                won.add(i);
            } catch (FileAlreadyExistsException e) {
                assertThat(e.getMessage()).contains(fence.toString());
            }
        }
        assertThat(won).containsExactly(0);
        assertThat(Files.readString(fence)).isEqualTo("I am 0");
        assertThatThrownBy(() -> Files.writeString(fence, "late", StandardOpenOption.CREATE_NEW))
                .isInstanceOf(FileAlreadyExistsException.class);
        // Whoever lost the answer and asks again has won all the same.
        Path own = root.resolve(".attempt.again");
        Files.writeString(own, "I am 0");
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

    @Test
    void unfinishedUploadsAreEnded() throws IOException {
        var client = server.client(S3Server.SECRET);
        String key = root.toString().substring("s3://data/".length()) + "/rank-0.safetensors";
        client.createMultipartUpload(r -> r.bucket("data").key(key));
        client.createMultipartUpload(r -> r.bucket("data").key("elsewhere"));

        assertThat(Buckets.abortUploads(root)).isEqualTo(1);
        assertThat(Buckets.abortUploads(root)).isZero();
        assertThat(Buckets.abortUploads(folder)).isZero();
        assertThat(client.listMultipartUploads(r -> r.bucket("data")).uploads()).hasSize(1);
    }

    @Test
    void errorsSayWhatToDo() throws IOException {
        assertConfiguration(buckets, "s3://nowhere/x", "no bucket nowhere", server.endpoint());
        Buckets wrong = Buckets.of(
                new S3Store(server.client("wrong"), server.endpoint(), 5 << 20),
                folder.resolve("wrong"),
                1000,
                Duration.ofSeconds(1));
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
