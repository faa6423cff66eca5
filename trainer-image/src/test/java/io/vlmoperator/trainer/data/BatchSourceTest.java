package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.spec.Augment;
import io.vlmoperator.api.spec.Batch.Attention;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.TestData.Tar;
import io.vlmoperator.trainer.model.Batch;
import io.vlmoperator.trainer.text.Templates;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The order of samples and the batches made of them. */
class BatchSourceTest {
    private static final int CONTEXT = 64;
    private static final int TOKENS = 4;
    private static final int SIDE = 16;

    @TempDir
    static Path root;

    private static Locations locations;
    private static Tokenizer tokenizer;
    private static DatasetSummary captions;
    private static DatasetSummary talks;

    @BeforeAll
    static void datasets() throws IOException {
        locations = TestData.locations(root);
        tokenizer = Tokenizer.load(TestData.TOKENIZER.resolve("small"));
        Path data = root.resolve("data");
        int n = 0;
        for (int s = 0; s < 3; s++) {
            Tar tar = new Tar();
            for (int i = 0; i < 17; i++, n++) {
                byte[] image = n % 5 == 0 ? new byte[3] : TestData.png(8 + n % 9, 12, n);
                tar.sample("k" + n, image, "number " + n + " " + "and more ".repeat(n % 4));
            }
            Files.write(data.resolve("c" + s + ".tar"), tar.bytes());
        }
        captions = build(TestData.captions("pvc://data/c{0..2}.tar", CONTEXT, TOKENS));
        TestData.folder(data.resolve("img"));
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 120; i++) {
            boolean image = i % 3 != 0;
            Files.write(data.resolve("img/" + i + ".png"), TestData.png(10, 10, i));
            lines.append("{\"id\": \"" + i + "\"," + (image ? "\"image\": \"" + i + ".png\"," : "")
                    + "\"conversations\": [{\"from\": \"human\", \"value\": \"" + (image ? "<image>\\n" : "") + "Q"
                    + " so".repeat(i % 7) + "?\"}, {\"from\": \"gpt\", \"value\": \"answer " + i + "\"}]}\n");
        }
        Files.writeString(data.resolve("talks.jsonl"), lines);
        talks = build(TestData.conversations("pvc://data/talks.jsonl", "pvc://data/img", 96, TOKENS));
        assertThat(talks.samples()).isEqualTo(120);
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void anEpochHoldsEverySampleOnceInItsOwnOrder() {
        try (BatchSource source = pretrain(3, 7, Attention.BlockDiagonal, null, 1)) {
            assertThat(source.rows()).isEqualTo(captions.rows());
            List<List<Long>> first = stream(source, 3, 0, captions.rows());
            List<List<Long>> second = stream(source, 3, captions.rows(), 2 * captions.rows());
            assertThat(first).hasSize(captions.samples().intValue());
            assertThat(samples(first)).doesNotHaveDuplicates();
            assertThat(samples(second)).containsExactlyInAnyOrderElementsOf(samples(first));
            assertThat(samples(second)).isNotEqualTo(samples(first));
            assertThat(first).allSatisfy(id -> assertThat(id.get(2)).isZero());
            assertThat(second).allSatisfy(id -> assertThat(id.get(2)).isEqualTo(1));
        }
    }

    @Test
    void theOrderKnowsNoWorkersAndResumesAnywhere() {
        for (boolean grouped : new boolean[] {false, true}) {
            for (int global : new int[] {1, 5, 8}) {
                try (BatchSource source = sft(global, grouped);
                        BatchSource again = sft(global, grouped)) {
                    long steps = source.steps(3);
                    for (int world : new int[] {1, 2, 3, 4, 8}) {
                        for (long step = steps - 1; step >= 0; step--) { // backwards: no state
                            List<List<Long>> whole = source.sampleIds(step, 0, global);
                            List<List<Long>> dealt = new ArrayList<>();
                            for (int rank = 0; rank < world; rank++) {
                                int from = global * rank / world;
                                int to = global * (rank + 1) / world;
                                dealt.addAll(again.sampleIds(step, from, to));
                            }
                            assertThat(dealt)
                                    .as("step %s, %s rows, world %s, grouped %s", step, global, world, grouped)
                                    .isEqualTo(whole);
                        }
                    }
                }
            }
        }
    }

    @Test
    void seedAndBatchSizeChangeTheOrder() {
        try (BatchSource a = pretrain(3, 7, Attention.BlockDiagonal, null, 1);
                BatchSource b = pretrain(3, 8, Attention.BlockDiagonal, null, 1);
                BatchSource c = pretrain(4, 7, Attention.BlockDiagonal, null, 1)) {
            long rows = captions.rows();
            assertThat(stream(a, 3, 0, rows)).isNotEqualTo(stream(b, 3, 0, rows));
            assertThat(stream(a, 3, 0, rows)).isNotEqualTo(stream(c, 4, 0, rows));
        }
    }

    @Test
    void groupedBatchesAreAlikeAndLoseNothing() {
        int global = 6;
        try (BatchSource grouped = sft(global, true);
                BatchSource plain = sft(global, false)) {
            Map<List<Long>, Integer> counts = new HashMap<>();
            int mixed = 0;
            long spread = 0;
            long plainSpread = 0;
            for (int step = 0; step < RowOrder.WINDOW; step++) {
                grouped.sampleIds(step, 0, global).forEach(id -> counts.merge(id, 1, Integer::sum));
                plain.sampleIds(step, 0, global).forEach(id -> counts.merge(id, -1, Integer::sum));
                List<Batch> rows = new ArrayList<>();
                for (int i = 0; i < global; i++) {
                    rows.add(grouped.rows(step, i, i + 1));
                }
                mixed += rows.stream().mapToInt(Batch::imageCount).distinct().count() > 1 ? 1 : 0;
                spread += spread(rows);
                List<Batch> others = new ArrayList<>();
                for (int i = 0; i < global; i++) {
                    others.add(plain.rows(step, i, i + 1));
                }
                plainSpread += spread(others);
            }
            assertThat(counts.values())
                    .as("a window holds the same rows either way")
                    .allMatch(n -> n == 0);
            assertThat(mixed).isLessThanOrEqualTo(1);
            assertThat(spread).isLessThan(plainSpread / 3);
        }
    }

    private static int spread(List<Batch> rows) {
        var lengths = rows.stream().mapToInt(Batch::tokens).summaryStatistics();
        return lengths.getMax() - lengths.getMin();
    }

    @Test
    void blockDiagonalRowsAreSampleBySample() {
        try (BatchSource source = pretrain(4, 7, Attention.BlockDiagonal, null, 2)) {
            Batch batch = source.rows(0, 0, 4);
            List<List<Long>> ids = source.sampleIds(0, 0, 4);
            assertThat(batch.segments()).isEqualTo(ids.size());
            assertThat(batch.imageCount()).isEqualTo(ids.size());
            assertThat(batch.imageSize()).isEqualTo(SIDE);
            assertThat(batch.visualTokens()).isEqualTo(TOKENS * ids.size());
            for (int s = 0; s < batch.segments(); s++) {
                int start = batch.segmentStarts()[s];
                int end = batch.segmentStarts()[s + 1];
                assertThat(batch.idsT()[start]).isEqualTo(tokenizer.id(Tokenizer.BEGIN));
                assertThat(batch.labelsT()[start]).isEqualTo(Batch.IGNORE);
                assertThat(Arrays.copyOfRange(batch.idsT(), start + 1, start + 1 + TOKENS))
                        .containsOnly(Batch.IMAGE);
                assertThat(batch.idsT()[end - 1]).isEqualTo(tokenizer.id(Tokenizer.MESSAGE_END));
                for (int t = start; t < end; t++) {
                    assertThat(batch.positionsT()[t]).isEqualTo(t - start);
                    boolean text = batch.idsT()[t] != Batch.IMAGE && t > start;
                    assertThat(batch.labelsT()[t]).isEqualTo(text ? batch.idsT()[t] : Batch.IGNORE);
                }
            }
            assertThat(batch.pixelsNCHW()).hasSize(ids.size() * 3 * SIDE * SIDE);
        }
    }

    @Test
    void causalRowsRunOnAndFollowThePlan() {
        try (BatchSource source = pretrain(4, 7, Attention.Causal, null, 1)) {
            int begin = tokenizer.id(Tokenizer.BEGIN);
            Batch batch = source.rows(1, 0, 4);
            assertThat(batch.segments()).isEqualTo(4);
            int targets = 0;
            for (int s = 0; s < 4; s++) {
                int start = batch.segmentStarts()[s];
                int end = batch.segmentStarts()[s + 1];
                assertThat(end - start).isLessThanOrEqualTo(CONTEXT);
                assertThat(batch.positionsT()[end - 1]).isEqualTo(end - start - 1);
                for (int t = start + 1; t < end; t++) {
                    targets += batch.idsT()[t] == begin && batch.labelsT()[t] == begin ? 1 : 0;
                }
            }
            assertThat(targets).as("the next sample's <s> is a target").isPositive();
        }
    }

    @Test
    void tokensAndPixelsAreThoseOfTheSample() throws Exception {
        try (BatchSource source = pretrain(1, 7, Attention.BlockDiagonal, null, 1)) {
            boolean found = false;
            for (long step = 0; step < source.rows() && !found; step++) {
                Batch batch = source.rows(step, 0, 1);
                List<List<Long>> ids = source.sampleIds(step, 0, 1);
                for (int s = 0; s < batch.segments(); s++) {
                    if (ids.get(s).get(1) != 7) {
                        continue;
                    }
                    int from = batch.segmentStarts()[s];
                    int[] text = Arrays.stream(batch.idsT(), from, batch.segmentStarts()[s + 1])
                            .filter(id -> id != Batch.IMAGE)
                            .toArray();
                    int[] want = Arrays.stream(Templates.caption(tokenizer, "number 7 and more and more and more ")
                                    .ids())
                            .filter(id -> id != Batch.IMAGE)
                            .toArray();
                    assertThat(text).containsExactly(want);
                    float[] image = new ImageLoader().read(TestData.png(8 + 7, 12, 7), SIDE);
                    assertThat(Arrays.copyOfRange(batch.pixelsNCHW(), s * image.length, (s + 1) * image.length))
                            .containsExactly(image);
                    found = true;
                }
            }
            assertThat(found).isTrue();
        }
    }

    @Test
    void augmentationIsAFunctionOfSeedEpochAndSample() {
        Augment augment = new Augment(0.1, 0.15, 0.2, 0.3, 0.5, 0.1);
        try (BatchSource one = pretrain(3, 7, Attention.BlockDiagonal, augment, 1);
                BatchSource two = pretrain(3, 7, Attention.BlockDiagonal, augment, 3);
                BatchSource plain = pretrain(3, 7, Attention.BlockDiagonal, null, 1)) {
            for (long step = 0; step < 4; step++) {
                Batch whole = one.rows(step, 0, 3);
                Batch parts = two.rows(step, 1, 3);
                float[] tail = Arrays.copyOfRange(
                        whole.pixelsNCHW(),
                        whole.pixelsNCHW().length - parts.pixelsNCHW().length,
                        whole.pixelsNCHW().length);
                assertThat(parts.pixelsNCHW()).containsExactly(tail);
                assertThat(whole.pixelsNCHW())
                        .isNotEqualTo(plain.rows(step, 0, 3).pixelsNCHW());
                for (float value : whole.pixelsNCHW()) {
                    assertThat(value).isBetween(-1f, 1f);
                }
            }
            assertThat(imagesOf(one, 0))
                    .as("each epoch changes a picture otherwise")
                    .isNotEqualTo(imagesOf(one, 1));
        }
    }

    /** The pixels of sample 7 in an epoch. */
    private static float[] imagesOf(BatchSource source, int epoch) {
        for (long step = 0; ; step++) {
            List<List<Long>> ids = source.sampleIds(step, 0, 3);
            for (int i = 0; i < ids.size(); i++) {
                if (ids.get(i).get(1) == 7 && ids.get(i).get(2) == epoch) {
                    int size = 3 * SIDE * SIDE;
                    return Arrays.copyOfRange(source.rows(step, 0, 3).pixelsNCHW(), i * size, (i + 1) * size);
                }
            }
        }
    }

    @Test
    void weightsRepeatRows() {
        ResolvedDataset twice = new ResolvedDataset("pairs", "pvc://out/pairs", 2, captions.digest());
        PretrainJobSpec spec = pretrainSpec(1, 7, Attention.BlockDiagonal, null);
        try (BatchSource source = open(TestJobs.pretrain(spec, List.of(twice)))) {
            assertThat(source.rows()).isEqualTo(2 * captions.rows());
            assertThat(source.tokens()).isEqualTo(2 * captions.tokens());
            List<List<Long>> ids = stream(source, 1, 0, source.rows());
            assertThat(ids).hasSize(2 * captions.samples().intValue()).doesNotHaveDuplicates();
            assertThat(new HashSet<>(samples(ids))).hasSize(captions.samples().intValue());
        }
    }

    @Test
    void conversationsHaveOneSegmentEachAndOnlyAnswersAreTargets() {
        try (BatchSource source = sft(8, false)) {
            Batch batch = source.rows(2, 0, 8);
            assertThat(batch.segments()).isEqualTo(8);
            int[] targets = Arrays.stream(batch.labelsT()).filter(l -> l >= 0).toArray();
            String said = tokenizer.decode(targets, true);
            assertThat(said).startsWith("answer").doesNotContain("Q");
            assertThat(source.datasetDigests()).containsEntry("talks", talks.digest());
        }
    }

    @Test
    void whatDoesNotFitIsRefusedByName() {
        ResolvedDataset good = new ResolvedDataset("pairs", "pvc://out/pairs", 1, captions.digest());
        PretrainJobSpec spec = pretrainSpec(4, 7, Attention.BlockDiagonal, null);
        assertRefused(
                () -> open(TestJobs.pretrain(
                        spec, List.of(new ResolvedDataset("pairs", "pvc://out/pairs", 1, "sha256:00")))),
                "is now " + captions.digest());
        assertRefused(
                () -> open(TestJobs.pretrain(spec, List.of(new ResolvedDataset("pairs", "pvc://data", 1, null)))),
                "no dataset.json");
        assertRefused(
                () -> open(TestJobs.pretrain(spec, List.of(new ResolvedDataset("talks", "pvc://out/talks", 1, null)))),
                "PlanMismatch: Dataset talks was made for a context of 96");
        PretrainJobSpec more = TestJobs.spec(4, CONTEXT, 9, 7, Attention.BlockDiagonal, null);
        assertRefused(
                () -> open(TestJobs.pretrain(more, List.of(good))), "made for 4 tokens per image, the job asks for 9");
        assertRefused(
                () -> BatchSource.open(
                        TestJobs.pretrain(spec, List.of(good)),
                        locations,
                        tokenizer,
                        SIDE,
                        100,
                        new BatchSource.Resources(1, 0)),
                "vocabulary ends at 100");
    }

    @Test
    void aTarThatChangedIsNoticed() throws IOException {
        Path tar = root.resolve("data/x.tar");
        Files.write(
                tar, new Tar().sample("a", TestData.png(9, 9, 1), "first text").bytes());
        DatasetSpec spec = TestData.captions("pvc://data/x.tar", CONTEXT, TOKENS);
        DatasetSpec other = new DatasetSpec(
                spec.sources(),
                null,
                spec.reject(),
                spec.pack(),
                new DatasetSpec.Output("pvc://out/x", null, null),
                null,
                null,
                null,
                null);
        build(other);
        Files.write(
                tar, new Tar().sample("a", TestData.png(9, 9, 1), "other text").bytes());
        PretrainJobSpec job = pretrainSpec(1, 7, Attention.BlockDiagonal, null);
        try (BatchSource source =
                open(TestJobs.pretrain(job, List.of(new ResolvedDataset("x", "pvc://out/x", 1, null))))) {
            assertThatThrownBy(() -> source.rows(0, 0, 1))
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                    .hasMessageContaining("pvc://data/x.tar changed since the Dataset was made");
        }
    }

    private static void assertRefused(org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String part) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining(part);
    }

    private static List<List<Long>> stream(BatchSource source, int global, long from, long to) {
        List<List<Long>> ids = new ArrayList<>();
        for (long row = from; row < to; row++) {
            int at = (int) (row % global);
            ids.addAll(source.sampleIds(row / global, at, at + 1));
        }
        return ids;
    }

    private static List<Long> samples(List<List<Long>> ids) {
        return ids.stream().map(id -> id.get(1)).toList();
    }

    private static DatasetSummary build(DatasetSpec spec) {
        return TestData.build(spec, locations);
    }

    private static BatchSource pretrain(int global, long seed, Attention attention, Augment augment, int threads) {
        ResolvedDataset dataset = new ResolvedDataset("pairs", "pvc://out/pairs", 1, captions.digest());
        return BatchSource.open(
                TestJobs.pretrain(pretrainSpec(global, seed, attention, augment), List.of(dataset)),
                locations,
                tokenizer,
                SIDE,
                2_000,
                new BatchSource.Resources(threads, 20_000));
    }

    private static BatchSource sft(int global, boolean grouped) {
        ResolvedDataset dataset = new ResolvedDataset("talks", "pvc://out/talks", 1, talks.digest());
        return open(TestJobs.sft(global, 96, TOKENS, 7, grouped, List.of(dataset)));
    }

    private static PretrainJobSpec pretrainSpec(int global, long seed, Attention attention, Augment augment) {
        return TestJobs.spec(global, CONTEXT, TOKENS, seed, attention, augment);
    }

    private static BatchSource open(FrozenJob job) {
        return BatchSource.open(job, locations, tokenizer, SIDE, 2_000, new BatchSource.Resources(1, 1 << 20));
    }
}
