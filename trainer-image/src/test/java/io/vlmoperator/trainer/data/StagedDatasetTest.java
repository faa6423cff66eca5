package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.api.spec.Select.Metric;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Dataset made stage by stage, each by pods of its own: the same files as by one pod, whatever is killed in between. */
class StagedDatasetTest {
    private static final Duration PATIENCE = Duration.ofMinutes(10);

    @TempDir
    Path root;

    private Path data;
    private final AtomicInteger opened = new AtomicInteger();
    private final AtomicInteger asked = new AtomicInteger();

    @BeforeEach
    void tars() throws IOException {
        data = TestData.folder(root.resolve("data"));
        TestData.folder(data.resolve("filter"));
        for (int t = 0; t < 4; t++) {
            Tar tar = new Tar();
            for (int n = 0; n < 12; n++) {
                tar.sample(t + "-" + n, TestData.png(8, 8, 100 * t + n), "picture " + t + " is " + (20 * t + n));
            }
            tar.sample("bad", new byte[7], "no picture");
            Files.write(data.resolve(t + ".tar"), tar.bytes());
        }
    }

    /** Says the caption's last word; the question numbered so kills the process, as far as a thread can. */
    private final class Echo implements FilterModel {
        private final int dies;

        Echo(int dies) {
            this.dies = dies;
        }

        @Override
        public String digest() {
            return "sha256:echo";
        }

        @Override
        public int batch() {
            return 4;
        }

        @Override
        public float[] pixels(byte[] file) {
            return new float[1];
        }

        @Override
        public List<String> ask(Metric metric, List<Sample> samples) {
            if (asked.addAndGet(samples.size()) > dies) {
                throw new TrainerException(ExitCode.Terminated, "killed");
            }
            return samples.stream()
                    .map(sample -> sample.caption().replaceFirst(".* ", ""))
                    .toList();
        }

        @Override
        public void close() {}
    }

    private DatasetSpec spec() {
        DatasetSpec plain = TestData.captions("pvc://data/*.tar", 96, 4);
        return new DatasetSpec(
                plain.sources(),
                new Select(
                        List.of(new Select.Rule(
                                null,
                                new Select.Score(
                                        Metric.SemanticUnderstanding, 25, new Select.Scorer("pvc://data/filter")))),
                        null,
                        null),
                new Reject(null, null, null, null, null, 0.9),
                plain.pack(),
                new DatasetSpec.Output("pvc://out/pairs", true, null),
                null,
                null,
                null,
                null);
    }

    private Optional<DatasetSummary> work(String out, int index, int count, DatasetStage stage, int dies) {
        Locations locations = Locations.of(
                Map.of("data", data, "out", TestData.folder(root.resolve(out)), "tok", TestData.TOKENIZER));
        DatasetBuilder.Options options =
                new DatasetBuilder.Options(index, count, 1, PATIENCE, Optional.ofNullable(stage));
        return new DatasetBuilder(spec(), locations, options, folder -> {
                    opened.incrementAndGet();
                    return new Echo(dies);
                })
                .build((done, total) -> {});
    }

    /** All pods of a stage at once. */
    private void stage(String out, DatasetStage stage, int pods, int dies) throws Throwable {
        try (ExecutorService threads = Executors.newFixedThreadPool(pods)) {
            List<Future<?>> all = new ArrayList<>();
            for (int pod = pods - 1; pod >= 0; pod--) {
                int index = pod;
                all.add(threads.submit(() -> work(out, index, pods, stage, dies)));
            }
            for (Future<?> one : all) {
                try {
                    one.get();
                } catch (ExecutionException e) {
                    threads.shutdownNow(); // a Job whose pod fails ends the others
                    throw e.getCause();
                }
            }
        }
    }

    private Map<String, String> files(String out) throws IOException {
        Map<String, String> digests = new TreeMap<>();
        try (Stream<Path> files = Files.walk(root.resolve(out))) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                digests.put(root.resolve(out).relativize(file).toString(), Digests.ofFile(file));
            }
        }
        return digests;
    }

    @Test
    void stagesWithPodsOfTheirOwnMakeTheSameFiles() throws Throwable {
        DatasetSummary whole = work("whole", 0, 1, null, Integer.MAX_VALUE).orElseThrow();
        assertThat(whole.samples()).isEqualTo(7 + 12 + 12);
        assertThat(asked.getAndSet(0)).isEqualTo(48);

        opened.set(0);
        stage("staged", DatasetStage.Index, 3, 0);
        assertThat(opened.get()).as("indexing needs no filter model").isZero();
        assertThatThrownBy(() -> work("staged", 0, 1, DatasetStage.Pack, Integer.MAX_VALUE))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                .hasMessageContaining("0.tar was changed, or its scores were deleted");
        assertThat(asked.get()).as("packing asks nobody").isZero();

        stage("staged", DatasetStage.Score, 2, Integer.MAX_VALUE);
        assertThat(asked.get()).isEqualTo(48);
        DatasetSummary packed =
                work("staged", 0, 1, DatasetStage.Pack, Integer.MAX_VALUE).orElseThrow();
        assertThat(packed).isEqualTo(whole);
        assertThat(files("staged")).isEqualTo(files("whole"));
        assertThat(files("whole"))
                .containsKeys("pairs/dataset.json", "pairs/plan.parquet", "pairs/shards/00000000.tar");

        for (DatasetStage again : List.of(DatasetStage.Index, DatasetStage.Score, DatasetStage.Pack)) {
            work("staged", 0, 1, again, 0);
        }
        assertThat(asked.get()).as("nothing is asked again").isEqualTo(48);
        assertThat(files("staged")).isEqualTo(files("whole"));
    }

    @Test
    void aStageThatIsKilledBeginsAgainWithoutHolesAndDuplicates() throws Throwable {
        work("whole", 0, 1, null, Integer.MAX_VALUE);
        asked.set(0);
        assertThat(work("staged", 1, 2, DatasetStage.Index, 0)).isEmpty(); // pod 0 was killed before it began
        stage("staged", DatasetStage.Index, 2, 0);
        for (int attempt = 0; attempt < 3; attempt++) {
            // So few questions complete one of the four shards at most.
            assertThatThrownBy(() -> stage("staged", DatasetStage.Score, 2, 20)).hasMessage("killed");
            asked.set(0);
        }
        stage("staged", DatasetStage.Score, 3, Integer.MAX_VALUE); // the next attempt may have other pods
        work("staged", 0, 1, DatasetStage.Pack, 0);
        assertThat(files("staged")).isEqualTo(files("whole"));
    }

    @Test
    void aTarThatChangedIsIndexedAgainAndItsOldPlanIsGone() throws Throwable {
        work("staged", 0, 1, null, Integer.MAX_VALUE);
        asked.set(0);
        Files.write(
                data.resolve("2.tar"),
                new Tar().sample("new", TestData.png(8, 8, 7), "new is 99").bytes());
        stage("staged", DatasetStage.Index, 2, 0);
        assertThat(root.resolve("staged/pairs/dataset.json")).doesNotExist();
        stage("staged", DatasetStage.Score, 2, Integer.MAX_VALUE);
        assertThat(asked.get()).isEqualTo(1);
        assertThat(work("staged", 0, 1, DatasetStage.Pack, 0).orElseThrow().samples())
                .isEqualTo(7 + 1 + 12);
    }
}
