package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
            int image = 0;
            int pixels = 3 * CONFIG.vision().imageSize() * CONFIG.vision().imageSize();
            for (int row = 0; row < LENGTHS.length; row++) {
                List<Integer> ids = new ArrayList<>();
                for (int t = prompts.segmentStarts()[row]; t < prompts.segmentStarts()[row + 1]; t++) {
                    ids.add(prompts.idsT()[t]);
                }
                float[] own = Arrays.copyOfRange(prompts.pixelsNCHW(), image * pixels, (image + IMAGES[row]) * pixels);
                image += IMAGES[row];
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

    private static VisionLanguageModel model(Scope scope) {
        VisionLanguageModel model = VisionLanguageModel.create(scope, CONFIG, Set.of());
        model.initialize(EnumSet.allOf(Part.class), 1);
        // Random weights of a fresh start answer all alike: larger embeddings make the choice depend on the prompt.
        scope.ops().scale(model.weights().view("language_model.model.embed_tokens.weight", scope), 40);
        return model;
    }

    private static int next(VisionLanguageModel model, List<Integer> ids, float[] pixels, int images) {
        int[] idsT = ids.stream().mapToInt(Integer::intValue).toArray();
        int[] positions = new int[idsT.length];
        int[] labels = new int[idsT.length];
        for (int t = 0; t < positions.length; t++) {
            positions[t] = t;
            labels[t] = Batch.IGNORE;
        }
        Batch batch = new Batch(
                idsT,
                labels,
                positions,
                new int[] {0, idsT.length},
                pixels,
                images,
                images == 0 ? 0 : CONFIG.vision().imageSize());
        int[] best = new int[1];
        model.observe(batch, (name, value) -> {
            if (name.equals("logits")) {
                float[] logits = value.floats();
                int vocabulary = value.size(-1);
                int from = logits.length - vocabulary;
                for (int v = 1; v < vocabulary; v++) {
                    if (logits[from + v] > logits[from + best[0]]) {
                        best[0] = v;
                    }
                }
            }
        });
        return best[0];
    }
}
