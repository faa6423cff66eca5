package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class BatchTest {
    @Test
    void theFirstTokenOfASegmentIsNobodysTarget() {
        Batch batch = Batch.ofText(
                new int[] {1, 2, 3, 4, 5}, new int[] {1, 2, -100, 4, 5}, new int[] {0, 1, 2, 0, 1}, new int[] {0, 3, 5
                });
        assertThat(batch.targetPositions()).containsExactly(1, 4);
        assertThat(batch.targets()).isEqualTo(2);
        assertThat(batch.segments()).isEqualTo(2);
    }

    @Test
    void inconsistentArraysAreRefused() {
        int[] three = {1, 2, 3};
        assertRefused("2 labels", three, new int[2], three, new int[] {0, 3});
        assertRefused("from 0 to the number of tokens (3)", three, three, three, new int[] {0, 2});
        assertRefused("segment 1 is empty", three, three, three, new int[] {0, 2, 2, 3});
        assertRefused("id -7 at token 1", new int[] {1, -7, 3}, three, three, new int[] {0, 3});
        assertRefused("label -1 at token 0", three, new int[] {-1, 2, 3}, three, new int[] {0, 3});
        assertRefused("position -1 at token 2", three, three, new int[] {0, 1, -1}, new int[] {0, 3});
        assertRefused("without tokens", new int[0], new int[0], new int[0], new int[] {0, 0});
        assertThatThrownBy(() -> new Batch(three, three, three, new int[] {0, 3}, new float[11], 1, 2))
                .hasMessageContaining("11 pixel values")
                .hasMessageContaining("have 12");
    }

    private static void assertRefused(String message, int[] ids, int[] labels, int[] positions, int[] starts) {
        assertThatThrownBy(() -> Batch.ofText(ids, labels, positions, starts))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }

    @Test
    void configurationsAreChecked() {
        assertThatThrownBy(() -> new ProjectorConfig(12)).hasMessageContaining("no square number");
        assertThatThrownBy(() -> new ModelConfig(
                        TinyModels.config(true).language(),
                        TinyModels.config(true).vision(),
                        new ProjectorConfig(25)))
                .hasMessageContaining("exceeds the 16 patches");
        assertThatThrownBy(() -> new LanguageConfig(30, 48, 2, 4, 2, 64, 1e4, 1e-6, true, 256))
                .hasMessageContaining("even size");
        assertThatThrownBy(() -> new LanguageConfig(32, 48, 2, 4, 3, 64, 1e4, 1e-6, true, 256))
                .hasMessageContaining("multiple");
        assertThatThrownBy(() -> new VisionConfig(12, 3, 16, 24, 3, 2, 1e-6, 1, VisionConfig.Activation.Tanh))
                .hasMessageContaining("-2 is the usual");
    }
}
