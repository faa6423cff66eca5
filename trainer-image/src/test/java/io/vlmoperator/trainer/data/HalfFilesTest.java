package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Durable;
import io.vlmoperator.trainer.data.TestData.Tar;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.FailingStore;
import io.vlmoperator.trainer.storage.FailingStore.When;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Storage that fails in mid-write leaves no half file under its final name, and work begun again ends as if nothing had been. */
class HalfFilesTest {
    @TempDir
    Path root;

    /** A writer that breaks off at any byte, on a disk and in a bucket, over an old file and where there was none. */
    @Test
    void aWriterThatBreaksOff() throws IOException {
        FailingStore store = new FailingStore();
        List<Path> places = List.of(
                Files.createDirectories(root.resolve("disk")),
                store.buckets(root.resolve("cache")).path("s3://bucket/folder"));
        SplittableRandom random = new SplittableRandom(1);
        for (Path place : places) {
            Files.createDirectories(place);
            for (int i = 0; i < 100; i++) {
                byte[] old = content(random);
                byte[] fresh = content(random);
                boolean over = random.nextBoolean();
                int until = random.nextInt(fresh.length + 1);
                Path file = place.resolve("file-" + i);
                if (over) {
                    Storage.publish(file, temporary -> Files.write(temporary, old));
                }
                assertThatThrownBy(() -> Storage.publish(file, temporary -> {
                            try (OutputStream out = Files.newOutputStream(temporary)) {
                                out.write(fresh, 0, until);
                                throw new IOException("No space left on device");
                            }
                        }))
                        .isInstanceOf(TrainerException.class)
                        .hasMessageContaining("No space left");
                if (over) {
                    assertThat(Files.readAllBytes(file)).isEqualTo(old);
                } else {
                    assertThat(Files.exists(file)).isFalse();
                }
                Files.deleteIfExists(file);
                try (Stream<Path> left = Files.list(place)) {
                    assertThat(left).as("nothing temporary stays").isEmpty();
                }
            }
        }
    }

    private static byte[] content(SplittableRandom random) {
        byte[] content = new byte[1 + random.nextInt(5_000)];
        random.nextBytes(content);
        return content;
    }

    /** Every way in which files get their names, each with a store that fails at any of its calls. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void aStoreThatFails(long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        FailingStore store = new FailingStore();
        Path folder = store.buckets(root.resolve("cache")).path("s3://bucket/folder");
        Map<String, List<byte[]>> whole = new TreeMap<>();
        for (int i = 0; i < 60; i++) {
            int way = random.nextInt(5);
            String name = way + "-" + random.nextInt(3);
            byte[] content = content(random);
            whole.computeIfAbsent("s3://bucket/folder/" + name, n -> new ArrayList<>())
                    .add(content);
            whole.computeIfAbsent("s3://bucket/folder/" + name + "/a", n -> new ArrayList<>())
                    .add(content);
            whole.computeIfAbsent("s3://bucket/folder/" + name + "/config.json", n -> new ArrayList<>())
                    .add(content);
            store.fail(random.nextInt(5), When.values()[random.nextInt(3)]);
            try {
                write(way, folder.resolve(name), content);
            } catch (IOException | TrainerException e) {
                assertThat(e.getMessage()).isNotEmpty();
            }
            store.fail(-1, When.BEFORE);
            store.contents()
                    .forEach((object, there) -> assertThat(whole.get(object))
                            .as("%s after %d ways", object, whole.size())
                            .anySatisfy(known -> assertThat(there).isEqualTo(known)));
        }
        assertThat(store.contents()).isNotEmpty();
    }

    private static void write(int way, Path file, byte[] content) throws IOException {
        switch (way) {
            case 0 -> Storage.publish(file, temporary -> Files.write(temporary, content));
            case 1 -> Durable.write(file, content);
            case 2 -> Durable.create(file, content);
            case 3 -> Files.write(file, content);
            default -> {
                Path building = file.resolveSibling("." + file.getFileName() + ".tmp");
                Files.createDirectories(building);
                Files.write(building.resolve("a"), content);
                Files.write(building.resolve("config.json"), content);
                Files.move(building, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    /** A Dataset whose storage fails at any call is made again, and is the same. */
    @Test
    void aDatasetOnAStoreThatFails() throws IOException {
        FailingStore reference = new FailingStore();
        sources(reference);
        DatasetSummary expected = build(reference, "reference");
        Map<String, byte[]> files = reference.contents();
        reference.fail(-1, When.BEFORE);

        FailingStore count = new FailingStore();
        sources(count);
        count.fail(-1, When.BEFORE);
        build(count, "count");
        int calls = count.calls();
        assertThat(calls).isGreaterThan(20);

        SplittableRandom random = new SplittableRandom(7);
        for (int i = 0; i < 6; i++) {
            int failing = (int) ((i + random.nextDouble()) * calls / 6);
            When when = When.values()[i % 3];
            FailingStore store = new FailingStore();
            sources(store);
            store.fail(failing, when);
            String name = "try-" + i;
            try {
                build(store, name);
            } catch (TrainerException e) {
                assertThat(e.getMessage()).as("call %d %s", failing, when).isNotEmpty();
            }
            store.fail(-1, When.BEFORE);
            store.contents()
                    .forEach((object, content) ->
                            assertThat(files).as("call %d", failing).containsKey(object));
            DatasetSummary summary = build(store, name + "-again");
            assertThat(summary.digest()).as("call %d %s", failing, when).isEqualTo(expected.digest());
            assertThat(store.contents().keySet()).isEqualTo(files.keySet());
        }
    }

    private void sources(FailingStore store) throws IOException {
        Path place = store.buckets(root.resolve("sources")).path("s3://bucket/ccs");
        Files.copy(TestData.TOKENIZER.resolve("small/tokenizer.json"), place.resolve("tokenizer.json"));
        for (int s = 0; s < 2; s++) {
            Tar tar = new Tar();
            for (int i = 0; i < 4; i++) {
                tar.sample("k" + s + i, TestData.png(8 + i, 12, s * 4L + i), "number " + i);
            }
            Files.write(place.resolve(s + ".tar"), tar.bytes());
        }
        Files.write(place.resolve("list.txt"), "none\n".getBytes(StandardCharsets.UTF_8));
    }

    private DatasetSummary build(FailingStore store, String cache) throws IOException {
        Buckets buckets = store.buckets(root.resolve(cache));
        Locations locations = TestData.locations(root).with(buckets);
        DatasetSpec plain = TestData.captions("s3://bucket/ccs/{0..1}.tar", 64, 4);
        DatasetSpec spec = new DatasetSpec(
                plain.sources(),
                null,
                plain.reject(),
                new Pack(64, 4, null, "s3://bucket/ccs"),
                new DatasetSpec.Output("s3://bucket/out", true, null),
                null,
                null,
                null,
                null);
        return new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone())
                .build((done, total) -> {})
                .orElseThrow();
    }
}
