package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.op.Scope;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class InitializationTest {
    private static final int VOCABULARY = 512;
    private static final int LAYERS = 3;
    private static final String LAYER = "language_model.model.layers.1.self_attn.";

    private static VisionLanguageModel model(Scope scope, int width, int layers, int keyValueHeads) {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(width, 48, layers, 4, keyValueHeads, VOCABULARY, 1e4, 1e-6, true, 256),
                new VisionConfig(12, 3, 16, 24, 3, 2, 1e-6, -2, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        VisionLanguageModel model = VisionLanguageModel.create(scope, config, EnumSet.of(Part.LANGUAGE));
        model.initialize(EnumSet.allOf(Part.class), 5);
        return model;
    }

    private static double deviation(float[] values) {
        return Math.sqrt(IntStream.range(0, values.length)
                .mapToDouble(i -> (double) values[i] * values[i])
                .average()
                .orElseThrow());
    }

    @Test
    void embeddingsAreWiderInNarrowModels() {
        try (Scope scope = Scope.open()) {
            for (int width : List.of(128, 1536, 2048)) {
                double expected = 0.02 * Math.sqrt(Math.max(1, 1536.0 / width));
                float[] values = model(scope, width, 1, 2)
                        .weights()
                        .view("language_model.model.embed_tokens.weight", scope)
                        .floats();
                assertThat(deviation(values)).as("width %d", width).isCloseTo(expected, Percentage.withPercentage(2));
            }
        }
    }

    @Test
    void theOutputMatrixIsTheScaledTransposeOfTheValuesUnlessQueriesAreGrouped() {
        int width = 64;
        try (Scope scope = Scope.open()) {
            Weights own = model(scope, width, LAYERS, 4).weights();
            float[] values = own.view(LAYER + "v_proj.weight", scope).floats();
            float[] output = own.view(LAYER + "o_proj.weight", scope).floats();
            double scale = 1 / Math.sqrt(2.0 * LAYERS);
            for (int row = 0; row < width; row++) {
                for (int column = 0; column < width; column++) {
                    assertThat(output[row * width + column]).isEqualTo((float) (scale * values[column * width + row]));
                }
            }
            float[] grouped = model(scope, width, LAYERS, 2)
                    .weights()
                    .view(LAYER + "o_proj.weight", scope)
                    .floats();
            assertThat(deviation(grouped))
                    .as("drawn, with the deviation that the transpose has")
                    .isCloseTo(deviation(output), Percentage.withPercentage(5));
            assertThat(grouped).isNotEqualTo(output);
        }
    }

    /** What the transpose is for: without any training, a token that was read is likelier than one that was not. */
    @Test
    void anUntrainedDecoderPrefersTokensThatItHasRead() {
        try (Scope scope = Scope.open()) {
            double copier = preference(scope, 4);
            double grouped = preference(scope, 2);
            assertThat(copier)
                    .as("log probability of a read token over another's")
                    .isGreaterThan(0.5);
            assertThat(Math.abs(grouped)).as("the same with grouped queries").isLessThan(0.2);
        }
    }

    /** Mean of log p(token of the text) - log p(another token) as the next one after random texts; the last token is not asked for. */
    private static double preference(Scope scope, int keyValueHeads) {
        int texts = 200;
        int length = 6;
        Random random = new Random(11);
        List<Integer> ids = new ArrayList<>();
        List<Integer> labels = new ArrayList<>();
        for (int text = 0; text < texts; text++) {
            List<Integer> tokens = new ArrayList<>(random.ints(0, VOCABULARY)
                    .distinct()
                    .limit(length + 1)
                    .boxed()
                    .toList());
            int absent = tokens.removeLast();
            for (int asked : List.of(tokens.get(random.nextInt(length - 1)), absent)) {
                ids.addAll(tokens);
                ids.add(asked);
                labels.addAll(Collections.nCopies(length, Batch.IGNORE));
                labels.add(asked);
            }
        }
        int segments = 2 * texts;
        int[] starts =
                IntStream.rangeClosed(0, segments).map(s -> s * (length + 1)).toArray();
        int[] positions =
                IntStream.range(0, ids.size()).map(t -> t % (length + 1)).toArray();
        Batch batch = new Batch(array(ids), array(labels), positions, starts, new float[0], 0, 0);
        float[] scores = model(scope, 64, LAYERS, keyValueHeads)
                .logProbabilities(batch, scope)
                .floats();
        return IntStream.range(0, texts)
                .mapToDouble(text -> scores[2 * text] - scores[2 * text + 1])
                .average()
                .orElseThrow();
    }

    private static int[] array(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }
}
