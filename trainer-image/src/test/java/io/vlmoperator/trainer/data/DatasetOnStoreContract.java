package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.SFTJobSpec.Template;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.ObjectServer;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Tars, lists of uids, tokenizer, indexes, plan and shards in a bucket of a real S3 server: the same Dataset as on a disk. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class DatasetOnStoreContract {
    private ObjectServer server;

    @TempDir
    Path folder;

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

    /** Puts the sources there and makes the Dataset. */
    private static DatasetSummary build(Path place, Locations locations) throws IOException {
        String at = Locations.fileLocation(place);
        DatasetSpec plain = TestData.captions(at + "/tars/{0..1}.tar", 64, 4);
        Select select = new Select(null, null, List.of(new Select.Rule(new Select.UidList(at + "/lists/*.txt"), null)));
        DatasetSpec spec = new DatasetSpec(
                plain.sources(),
                select,
                plain.reject(),
                new io.vlmoperator.api.spec.Pack(64, 4, null, at + "/tokenizer"),
                new DatasetSpec.Output(at + "/out", true, null),
                null,
                null,
                null,
                null);
        return new DatasetBuilder(spec, locations, DatasetBuilder.Options.alone())
                .build((done, total) -> {})
                .orElseThrow();
    }

    private static void sources(Path place) throws IOException {
        for (String name : List.of("tars", "lists", "tokenizer")) {
            Files.createDirectories(place.resolve(name));
        }
        Files.copy(TestData.TOKENIZER.resolve("small/tokenizer.json"), place.resolve("tokenizer/tokenizer.json"));
        String uid = "00112233445566778899aabbccddeeff";
        for (int s = 0; s < 2; s++) {
            Tar tar = new Tar();
            for (int i = 0; i < 12; i++) {
                int n = s * 12 + i;
                tar.sample("k" + n, n == 5 ? new byte[3] : TestData.png(8 + n % 9, 12, n), "number " + n);
                if (n == 7) {
                    tar.file("k7.json", "{\"uid\": \"" + uid + "\"}");
                }
            }
            Files.write(place.resolve("tars/" + s + ".tar"), tar.bytes());
        }
        Files.writeString(place.resolve("lists/not.txt"), uid + "\n");
    }

    private static List<String> shown(Path place, Locations locations) {
        try (Tokenizer tokenizer = Tokenizer.load(place.resolve("tokenizer"));
                SampleView view = SampleView.open(place.resolve("out"), locations, tokenizer, Template.ChatML)) {
            return Stream.iterate(0L, n -> n < view.size(), n -> n + 1)
                    .map(n -> view.sample(n, 16))
                    .map(s -> s.uid() + " " + s.row() + " " + s.position() + " "
                            + s.text().textTokens() + " "
                            + Digests.short128(s.images().getFirst()))
                    .toList();
        }
    }

    @Test
    void isTheSameAsOnADisk() throws IOException {
        Path disk = Files.createDirectories(folder.resolve("disk"));
        sources(disk);
        DatasetSummary expected = build(disk, TestData.locations(folder));

        Buckets buckets = server.buckets(folder.resolve("cache"));
        Locations locations = TestData.locations(folder).with(buckets);
        Path bucket = buckets.path("s3://data/ccs");
        sources(bucket);
        DatasetSummary summary = build(bucket, locations);

        assertThat(summary.samples()).isEqualTo(expected.samples()).isEqualTo(22);
        assertThat(summary.rows()).isEqualTo(expected.rows());
        assertThat(summary.tokens()).isEqualTo(expected.tokens());
        assertThat(summary.rejected()).isEqualTo(expected.rejected());
        assertThat(shown(bucket, locations))
                .hasSize(22)
                .extracting(s -> s.substring(s.indexOf(' ')))
                .containsExactlyInAnyOrderElementsOf(shown(disk, locations).stream()
                        .map(s -> s.substring(s.indexOf(' ')))
                        .toList());
        try (Stream<Path> shards = Files.list(bucket.resolve("out/shards"))) {
            assertThat(shards.map(f -> f.getFileName().toString())).contains("00000000.tar");
        }

        // Another pod, which shares the bucket only, finds it finished.
        FileTime made = Files.getLastModifiedTime(bucket.resolve("out").resolve(DatasetManifest.FILE));
        Buckets others = server.buckets(folder.resolve("other-cache"));
        Path again = others.path("s3://data/ccs");
        assertThat(build(again, TestData.locations(folder).with(others)).digest())
                .isEqualTo(summary.digest());
        assertThat(Files.getLastModifiedTime(again.resolve("out").resolve(DatasetManifest.FILE)))
                .isEqualTo(made);
    }

    @Test
    void whatIsMissingIsNamed() throws IOException {
        Buckets buckets = server.buckets(folder.resolve("cache"));
        Path bucket = buckets.path("s3://data/empty");
        Files.createDirectories(bucket.resolve("tokenizer"));
        assertThatThrownBy(() -> build(bucket, TestData.locations(folder).with(buckets)))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                .hasMessageContaining("s3://data/empty/tars/0.tar");
    }
}
