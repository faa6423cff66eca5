package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.trainer.op.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class GeneratorTest {
    private static final ModelConfig CONFIG = TinyModels.config(true);
    private static final int[] LENGTHS = {5, 11, 3};
    private static final int[] IMAGES = {1, 0, 2};

    /** Rows of different length and image count, generated together, against the whole model run again for every token of each row alone. */
    @Test
    void theCacheChangesNothing() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope);
            Batch prompts = TinyModels.batch(CONFIG, LENGTHS, IMAGES, 3);
            List<int[]> answers = new Generator(model).greedy(prompts, 7, Set.of());
            for (int row = 0; row < LENGTHS.length; row++) {
                List<Integer> ids = ids(prompts, row);
                float[] own = pixels(prompts, row);
                int[] expected = new int[7];
                for (int step = 0; step < 7; step++) {
                    expected[step] = next(model, ids, own, IMAGES[row]);
                    ids.add(expected[step]);
                }
                assertThat(answers.get(row)).as("row %d", row).containsExactly(expected);
            }
            // With a stop id a row ends before it; the others go on.
            int stop = answers.getFirst()[2];
            List<int[]> stopped = new Generator(model).greedy(prompts, 7, Set.of(stop));
            for (int row = 0; row < LENGTHS.length; row++) {
                int[] whole = answers.get(row);
                int end = 0;
                while (end < whole.length && whole[end] != stop) {
                    end++;
                }
                assertThat(stopped.get(row)).as("row %d", row).containsExactly(Arrays.copyOf(whole, end));
            }
            assertThatThrownBy(() -> new Generator(model).greedy(prompts, 0, Set.of()))
                    .hasMessageContaining("maxNewTokens");
        }
    }

    /** The logits of every step of rows generated together, against the whole model run again without a cache on each row alone. */
    @Test
    void logitsAreThoseOfTheUncachedForward() {
        int steps = 12;
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope);
            Batch prompts = TinyModels.batch(CONFIG, LENGTHS, IMAGES, 3);
            List<float[]> logits = new ArrayList<>();
            List<int[]> answers = new Generator(model)
                    .generate(
                            prompts,
                            new Generator.Request(steps, Set.of(), Sampling.GREEDY),
                            (ops, logitsSV, step) -> {
                                logits.add(logitsSV.floats());
                                return ops.argMax(logitsSV).longs();
                            },
                            Generator.Listener.NONE);
            int vocabulary = CONFIG.language().vocabSize();
            for (int row = 0; row < LENGTHS.length; row++) {
                List<Integer> ids = ids(prompts, row);
                for (int step = 0; step < steps; step++) {
                    float[] expected = lastLogits(model, ids, pixels(prompts, row), IMAGES[row]);
                    float largest = 0;
                    for (float value : expected) {
                        largest = Math.max(largest, Math.abs(value));
                    }
                    float[] own = Arrays.copyOfRange(logits.get(step), row * vocabulary, (row + 1) * vocabulary);
                    assertThat(own).as("row %d, step %d", row, step).containsExactly(expected, within(1e-5f * largest));
                    ids.add(answers.get(row)[step]);
                }
            }
        }
    }

    @Test
    void samplingDependsOnTheRowsSeedAndNotOnTheOthers() {
        try (Scope scope = Scope.open()) {
            Generator generator = new Generator(model(scope));
            Generator.Request request = new Generator.Request(9, Set.of(), new Sampling(30, 40, 0.95));
            Batch prompts = TinyModels.batch(CONFIG, LENGTHS, IMAGES, 3);
            long[] seeds = {11, 12, 13};
            List<int[]> together = generator.generate(prompts, request, seeds, Generator.Listener.NONE);
            for (int row = 0; row < LENGTHS.length; row++) {
                List<Integer> ids = ids(prompts, row);
                Batch alone = alone(ids, pixels(prompts, row), IMAGES[row]);
                assertThat(generator.generate(alone, request, new long[] {seeds[row]}, Generator.Listener.NONE))
                        .as("row %d", row)
                        .containsExactly(together.get(row));
            }
            assertThat(generator.generate(prompts, request, new long[] {21, 12, 13}, Generator.Listener.NONE))
                    .satisfies(other -> assertThat(other.get(0)).isNotEqualTo(together.get(0)))
                    .satisfies(other -> assertThat(other.get(1)).isEqualTo(together.get(1)));
        }
    }

    @Test
    void aListenerHearsEveryTokenAndEndsItsRow() {
        try (Scope scope = Scope.open()) {
            Generator generator = new Generator(model(scope));
            Batch prompts = TinyModels.batch(CONFIG, LENGTHS, IMAGES, 3);
            List<int[]> whole = generator.greedy(prompts, 7, Set.of());
            List<List<Integer>> heard = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
            List<int[]> answers = generator.generate(
                    prompts, new Generator.Request(7, Set.of(), Sampling.GREEDY), new long[3], (row, id) -> {
                        heard.get(row).add(id);
                        return heard.get(row).size() < 3 + row;
                    });
            for (int row = 0; row < 3; row++) {
                assertThat(answers.get(row)).containsExactly(Arrays.copyOf(whole.get(row), 3 + row));
                assertThat(heard.get(row))
                        .containsExactlyElementsOf(
                                Arrays.stream(answers.get(row)).boxed().toList());
            }
        }
    }

    @Test
    void theModelsLengthIsABound() {
        try (Scope scope = Scope.open()) {
            Generator generator = new Generator(model(scope));
            Batch prompts = TinyModels.batch(CONFIG, LENGTHS, IMAGES, 3);
            int most = CONFIG.language().maxPositionEmbeddings();
            assertThatThrownBy(() -> generator.greedy(prompts, most - 10, Set.of()))
                    .hasMessageContaining("row 1: a prompt of 11 positions and an answer of up to " + (most - 10))
                    .hasMessageContaining("the model reads " + most);
            assertThatThrownBy(() -> generator.generate(
                            prompts,
                            new Generator.Request(1, Set.of(), Sampling.GREEDY),
                            new long[2],
                            Generator.Listener.NONE))
                    .hasMessageContaining("2 seeds for 3 rows");
        }
    }

    private static List<Integer> ids(Batch prompts, int row) {
        List<Integer> ids = new ArrayList<>();
        for (int t = prompts.segmentStarts()[row]; t < prompts.segmentStarts()[row + 1]; t++) {
            ids.add(prompts.idsT()[t]);
        }
        return ids;
    }

    private static float[] pixels(Batch prompts, int row) {
        int before = Arrays.stream(IMAGES).limit(row).sum();
        int size = 3 * CONFIG.vision().imageSize() * CONFIG.vision().imageSize();
        return Arrays.copyOfRange(prompts.pixelsNCHW(), before * size, (before + IMAGES[row]) * size);
    }

    private static VisionLanguageModel model(Scope scope) {
        VisionLanguageModel model = VisionLanguageModel.create(scope, CONFIG, Set.of());
        model.initialize(EnumSet.allOf(Part.class), 1);
        // Random weights of a fresh start answer all alike: larger embeddings make the choice depend on the prompt.
        scope.ops().scale(model.weights().view("language_model.model.embed_tokens.weight", scope), 40);
        return model;
    }

    private static int next(VisionLanguageModel model, List<Integer> ids, float[] pixels, int images) {
        float[] logits = lastLogits(model, ids, pixels, images);
        int best = 0;
        for (int v = 1; v < logits.length; v++) {
            if (logits[v] > logits[best]) {
                best = v;
            }
        }
        return best;
    }

    private static float[] lastLogits(VisionLanguageModel model, List<Integer> ids, float[] pixels, int images) {
        List<float[]> last = new ArrayList<>();
        model.observe(alone(ids, pixels, images), (name, value) -> {
            if (name.equals("logits")) {
                float[] logits = value.floats();
                last.add(Arrays.copyOfRange(logits, logits.length - value.size(-1), logits.length));
            }
        });
        return last.getFirst();
    }

    private static Batch alone(List<Integer> ids, float[] pixels, int images) {
        int[] idsT = ids.stream().mapToInt(Integer::intValue).toArray();
        int[] positions = new int[idsT.length];
        int[] labels = new int[idsT.length];
        for (int t = 0; t < positions.length; t++) {
            positions[t] = t;
            labels[t] = Batch.IGNORE;
        }
        return new Batch(
                idsT,
                labels,
                positions,
                new int[] {0, idsT.length},
                pixels,
                images,
                images == 0 ? 0 : CONFIG.vision().imageSize());
    }
}
