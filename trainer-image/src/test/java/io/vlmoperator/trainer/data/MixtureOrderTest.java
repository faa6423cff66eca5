package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.api.spec.Source;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.TestData.Tar;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Mixtures of Datasets: the order of sample ids, whoever reads it and wherever it is taken up again. */
class MixtureOrderTest {
    private static final int SIDE = 8;
    private static final int EPOCHS = 3;
    private static final int[] WORLDS = {1, 2, 3, 4, 8};

    private static Path root;
    private static Locations locations;
    private static Tokenizer tokenizer;

    /** Three Datasets of 23, 9 and 1 samples, packed in three ways. */
    @BeforeContainer
    static void datasets() throws IOException {
        root = Files.createTempDirectory("mixture");
        locations = TestData.locations(root);
        tokenizer = Tokenizer.load(TestData.TOKENIZER.resolve("small"));
        dataset("a", 23, Pack.Algorithm.FirstFitDecreasing);
        dataset("b", 9, Pack.Algorithm.Streaming);
        dataset("c", 1, Pack.Algorithm.None);
    }

    private static void dataset(String name, int samples, Pack.Algorithm algorithm) throws IOException {
        Tar tar = new Tar();
        for (int i = 0; i < samples; i++) {
            tar.sample(name + i, TestData.png(4, 4, i), "sample " + i + " more".repeat(i % 5));
        }
        Files.write(root.resolve("data/" + name + ".tar"), tar.bytes());
        Source source = new Source(name, new Source.WebDataset("pvc://data/" + name + ".tar"), null, null, null);
        DatasetSpec spec = new DatasetSpec(
                List.of(source),
                null,
                new Reject(null, null, null, null, null, null),
                new Pack(48, 4, algorithm, "pvc://tok/small"),
                new DatasetSpec.Output("pvc://out/" + name, null, null),
                null,
                null,
                null,
                null);
        TestData.build(spec, locations);
    }

    @AfterContainer
    static void delete() throws IOException {
        tokenizer.close();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static BatchSource open(long seed, int global, int[] weights) {
        List<ResolvedDataset> datasets = new ArrayList<>();
        for (int d = 0; d < weights.length; d++) {
            String name = String.valueOf((char) ('a' + d));
            datasets.add(new ResolvedDataset(name, "pvc://out/" + name, weights[d], null));
        }
        return BatchSource.open(
                TestJobs.pretrain(TestJobs.spec(global, 48, 4, seed, null, null), datasets),
                locations,
                tokenizer,
                SIDE,
                2_000,
                new BatchSource.Resources(1, 1 << 16));
    }

    @Property(tries = 5)
    void restartsAndWorkersDoNotShowInTheSampleIds(
            @ForAll @LongRange(min = 0, max = Long.MAX_VALUE) long seed,
            @ForAll @IntRange(min = 1, max = 11) int global,
            @ForAll @IntRange(min = 1, max = 3) int weightA,
            @ForAll @IntRange(min = 1, max = 3) int weightB,
            @ForAll @IntRange(min = 1, max = 4) int weightC) {
        int[] weights = {weightA, weightB, weightC};
        List<List<List<Long>>> whole = new ArrayList<>();
        long epochRows;
        long steps;
        try (BatchSource source = open(seed, global, weights)) {
            epochRows = source.rows();
            steps = source.steps(EPOCHS);
            for (long step = 0; step < steps; step++) {
                whole.add(source.sampleIds(step, 0, global));
            }
        }
        // Taken up at every edge of an epoch (the step that holds it and those beside it) and anywhere, by other
        // numbers of workers.
        Random random = new Random(seed);
        List<BatchSource> resumed = List.of(open(seed, global, weights), open(seed, global, weights));
        for (int world : WORLDS) {
            long edge = epochRows * (1 + random.nextInt(EPOCHS - 1)) / global;
            List<Long> starts = Stream.of(
                            edge - 1, edge, edge + 1, (long) random.nextInt(Math.toIntExact(steps)), steps - 1)
                    .map(start -> Math.clamp(start, 0, steps - 1))
                    .distinct()
                    .toList();
            for (long start : starts) {
                for (long step = start; step < Math.min(steps, start + 3); step++) {
                    List<List<Long>> dealt = new ArrayList<>();
                    for (int rank = 0; rank < world; rank++) {
                        // As the trainer deals them: unevenly where the batch does not divide.
                        dealt.addAll(resumed.get(rank % 2)
                                .sampleIds(step, global * rank / world, global * (rank + 1) / world));
                    }
                    assertThat(dealt)
                            .as("step %s of %s workers from step %s", step, world, start)
                            .isEqualTo(whole.get((int) step));
                }
            }
        }
        resumed.forEach(BatchSource::close);
    }

    @Property(tries = 5)
    void everyEpochHoldsEachSampleAsOftenAsItsWeightInAnotherOrder(
            @ForAll @LongRange(min = 0, max = Long.MAX_VALUE) long seed,
            @ForAll @IntRange(min = 1, max = 3) int weightA,
            @ForAll @IntRange(min = 1, max = 3) int weightB,
            @ForAll @IntRange(min = 1, max = 4) int weightC) {
        int[] weights = {weightA, weightB, weightC};
        try (BatchSource source = open(seed, 1, weights)) {
            List<List<List<Long>>> epochs = new ArrayList<>();
            for (int epoch = 0; epoch < EPOCHS; epoch++) {
                List<List<Long>> ids = new ArrayList<>();
                for (long row = 0; row < source.rows(); row++) {
                    ids.addAll(source.sampleIds(epoch * source.rows() + row, 0, 1));
                }
                Map<List<Long>, Integer> counts = new HashMap<>();
                ids.forEach(id -> counts.merge(id.subList(0, 2), 1, Integer::sum));
                assertThat(counts).hasSize(33);
                counts.forEach((id, count) ->
                        assertThat(count).isEqualTo(weights[id.getFirst().intValue()]));
                assertThat(ids).doesNotHaveDuplicates(); // each occurrence has its own number: its own augmentation
                epochs.add(ids.stream().map(id -> id.subList(0, 2)).toList());
            }
            assertThat(epochs).doesNotHaveDuplicates();
        }
    }
}
