package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VisionLanguageModelTest {
    private static final ModelConfig CONFIG = TinyModels.config(true);

    private static VisionLanguageModel model(Scope scope, Set<Part> trained, long seed) {
        VisionLanguageModel model = VisionLanguageModel.create(scope, CONFIG, trained);
        model.initialize(EnumSet.allOf(Part.class), seed);
        return model;
    }

    @Test
    void learnsABatchByHeart() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.allOf(Part.class), 1);
            Batch batch = TinyModels.batch(CONFIG, new int[] {6, 9, 4}, new int[] {1, 2, 0}, 3);
            Tensor values = model.weights().values();
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.99, 1e-8, 0.01),
                    values,
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    values.count());
            double first = 0;
            double last = 0;
            for (int step = 1; step <= 60; step++) {
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    last = model.accumulate(batch, 1.0 / batch.targets(), local).item() / batch.targets();
                    optimizer.update(
                            1e-2, step, local.ops().norm(model.weights().gradients()), 1.0);
                }
                first = step == 1 ? last : first;
            }
            assertThat(first)
                    .as("loss of random weights: about log of the vocabulary")
                    .isCloseTo(Math.log(64), Offset.offset(0.7));
            assertThat(last).as("loss after 60 updates on one batch").isLessThan(0.1);
        }
    }

    @Test
    void aStepLeavesNothingBehind() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.of(Part.PROJECTOR, Part.LANGUAGE), 1);
            Batch batch = TinyModels.batch(CONFIG, new int[] {6, 9}, new int[] {1, 1}, 3);
            long before = Torch.start().liveTensors();
            for (int step = 0; step < 5; step++) {
                try (Scope local = scope.child()) {
                    model.accumulate(batch, 1, local);
                    model.logProbabilities(batch, local);
                    new Generator(model).greedy(batch, 3, Set.of());
                }
                assertThat(Torch.start().liveTensors())
                        .as("tensors after step %d", step)
                        .isEqualTo(before);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"PRODUCTS,FLOAT32", "INPUT,FLOAT32", "PRODUCTS,BFLOAT16", "INPUT,BFLOAT16"})
    void formingActivationsAgainGivesTheSameGradients(Tape.Keep keep, DType type) {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.allOf(Part.class), 1);
            model.computeIn(type);
            // Segments of unequal length: several rectangles, put back in order.
            Batch batch = TinyModels.batch(CONFIG, new int[] {6, 9, 40}, new int[] {1, 1, 0}, 3);
            float kept = model.accumulate(batch, 1, Tape.Keep.ALL, scope).item();
            float[] gradients = model.weights().gradients().floats();
            scope.ops().zero(model.weights().gradients());
            assertThat(model.accumulate(batch, 1, keep, scope).item()).isEqualTo(kept);
            assertThat(model.weights().gradients().floats()).containsExactly(gradients);
            assertThat(model.lossSum(batch, scope).item()).isCloseTo(kept, Offset.offset(1e-4f * kept));
        }
    }

    @Test
    void roundedComputationLearnsTheSame() {
        double[] exact = losses(DType.FLOAT32);
        double[] rounded = losses(DType.BFLOAT16);
        assertThat(exact[49]).as("the model learns at all").isLessThan(exact[0] - 0.3);
        for (int step = 0; step < 50; step++) {
            assertThat(rounded[step]).as("loss of step %d", step).isCloseTo(exact[step], Offset.offset(1e-2));
        }
        assertThat(rounded).isNotEqualTo(exact);
    }

    /** Mean loss of each of 50 steps over fresh batches of a task that can be learned: the next token is the present one plus 1. */
    private static double[] losses(DType type) {
        double[] losses = new double[50];
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.allOf(Part.class), 1);
            model.computeIn(type);
            Tensor values = model.weights().values();
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.99, 1e-8, 0.01),
                    values,
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    values.count());
            for (int step = 0; step < losses.length; step++) {
                Batch batch = TinyModels.counting(CONFIG, step);
                try (Scope local = scope.child()) {
                    local.ops().zero(model.weights().gradients());
                    losses[step] = model.accumulate(batch, 1.0 / batch.targets(), local)
                                    .item()
                            / batch.targets();
                    optimizer.update(
                            5e-4, step + 1, local.ops().norm(model.weights().gradients()), 1.0);
                    model.weights().updated();
                }
            }
        }
        return losses;
    }

    @Test
    void layersSeeUpdatesOfTheMasterWeights() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.of(Part.LANGUAGE), 1);
            Batch batch = TinyModels.batch(CONFIG, new int[] {6, 9}, new int[] {1, 0}, 3);
            model.computeIn(DType.BFLOAT16);
            float before = model.lossSum(batch, scope).item();
            scope.ops().scale(model.weights().values(), 0.5);
            assertThat(model.lossSum(batch, scope).item()).isEqualTo(before);
            model.weights().updated();
            assertThat(model.lossSum(batch, scope).item()).isNotEqualTo(before);
            assertThatThrownBy(() -> model.computeIn(DType.FLOAT32)).hasMessageContaining("BFLOAT16");
        }
    }

    @Test
    void gradientsAddUpAndScale() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.allOf(Part.class), 1);
            Batch batch = TinyModels.batch(CONFIG, new int[] {5}, new int[] {1}, 3);
            model.accumulate(batch, 1, scope);
            float[] once = model.weights().gradients().floats();
            model.accumulate(batch, 0.5, scope);
            float[] more = model.weights().gradients().floats();
            float largest = 0;
            for (float value : once) {
                largest = Math.max(largest, Math.abs(value));
            }
            for (int i = 0; i < once.length; i++) {
                assertThat(more[i]).isCloseTo(1.5f * once[i], Offset.offset(1e-6f * largest));
            }
        }
    }

    @Test
    void frozenPartsHaveNoPlaceAmongTheGradients() {
        try (Scope scope = Scope.open()) {
            for (Set<Part> trained :
                    List.of(EnumSet.of(Part.PROJECTOR), EnumSet.of(Part.LANGUAGE), EnumSet.of(Part.VISION))) {
                VisionLanguageModel some = model(scope, trained, 1);
                VisionLanguageModel all = model(scope, EnumSet.allOf(Part.class), 1);
                Batch batch = TinyModels.batch(CONFIG, new int[] {5, 8}, new int[] {1, 1}, 3);
                // The same numbers up to rounding: a part lies elsewhere in the flat buffer when fewer parts are
                // trained, and the sums of
                // a matrix product may be taken in another order there.
                assertThat(some.accumulate(batch, 1, scope).item())
                        .isCloseTo(all.accumulate(batch, 1, scope).item(), Offset.offset(1e-4f));
                assertThat(some.weights().trained()).extracting(Parameter::part).containsOnlyElementsOf(trained);
                for (Parameter parameter : some.weights().trained()) {
                    assertThat(some.weights().gradient(parameter.name(), scope).floats())
                            .as(parameter.name())
                            .usingComparatorWithPrecision(1e-5f)
                            .containsExactly(all.weights()
                                    .gradient(parameter.name(), scope)
                                    .floats());
                }
            }
        }
    }

    @Test
    void segmentsDoNotSeeEachOther() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, EnumSet.allOf(Part.class), 1);
            int[] lengths = {6, 40, 9, 7};
            int[] images = {1, 0, 2, 1};
            Batch packed = TinyModels.batch(CONFIG, lengths, images, 3);
            float[] together = model.logProbabilities(packed, scope).floats();
            int at = 0;
            int image = 0;
            int pixels = 3 * packed.imageSize() * packed.imageSize();
            for (int s = 0; s < lengths.length; s++) {
                int from = packed.segmentStarts()[s];
                int to = packed.segmentStarts()[s + 1];
                Batch alone = new Batch(
                        java.util.Arrays.copyOfRange(packed.idsT(), from, to),
                        java.util.Arrays.copyOfRange(packed.labelsT(), from, to),
                        java.util.Arrays.copyOfRange(packed.positionsT(), from, to),
                        new int[] {0, to - from},
                        java.util.Arrays.copyOfRange(packed.pixelsNCHW(), image * pixels, (image + images[s]) * pixels),
                        images[s],
                        images[s] == 0 ? 0 : packed.imageSize());
                image += images[s];
                for (float value : model.logProbabilities(alone, scope).floats()) {
                    assertThat(together[at++])
                            .as("target %d, segment %d", at, s)
                            .isCloseTo(value, Offset.offset(2e-5f));
                }
            }
            assertThat(at).isEqualTo(together.length);
        }
    }

    @Test
    void initializationDependsOnTheSeedOnly() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel all = model(scope, EnumSet.allOf(Part.class), 7);
            VisionLanguageModel frozen = model(scope, Set.of(), 7);
            VisionLanguageModel other = model(scope, EnumSet.allOf(Part.class), 8);
            for (Parameter parameter : all.weights().parameters()) {
                float[] values = all.weights().view(parameter.name(), scope).floats();
                assertThat(frozen.weights().view(parameter.name(), scope).floats())
                        .as(parameter.name())
                        .containsExactly(values);
                if (parameter.shape().size() > 1) {
                    assertThat(other.weights().view(parameter.name(), scope).floats())
                            .as(parameter.name())
                            .isNotEqualTo(values);
                    double deviation = Math.sqrt(IntStream.range(0, values.length)
                            .mapToDouble(i -> values[i] * values[i])
                            .average()
                            .orElseThrow());
                    assertThat(deviation).as(parameter.name()).isBetween(0.015, 0.35);
                }
            }
            // A number that must never change: resumed and repeated runs stand on it.
            assertThat(all.weights()
                            .view("multi_modal_projector.linear_1.weight", scope)
                            .floats()[0])
                    .isEqualTo(FIRST_PROJECTOR_WEIGHT);
        }
    }

    private static final float FIRST_PROJECTOR_WEIGHT = -0.13270204f;

    @Test
    void unusedVisionLayersAreNotBuilt() {
        try (Scope scope = Scope.open()) {
            assertThat(model(scope, Set.of(), 1).weights().parameters())
                    .extracting(Parameter::name)
                    .contains(
                            "vision_tower.vision_model.encoder.layers.1.mlp.fc2.weight",
                            "language_model.model.norm.weight")
                    .noneMatch(name -> name.contains("encoder.layers.2.") || name.contains("post_layernorm"));
        }
    }

    @Test
    void anUntiedHeadIsAParameterOfItsOwn() {
        try (Scope scope = Scope.open()) {
            ModelConfig untied = TinyModels.config(false);
            VisionLanguageModel model = VisionLanguageModel.create(scope, untied, EnumSet.of(Part.LANGUAGE));
            model.initialize(EnumSet.allOf(Part.class), 1);
            model.accumulate(TinyModels.batch(untied, new int[] {5}, new int[] {1}, 3), 1, scope);
            float[] head = model.weights()
                    .gradient("language_model.lm_head.weight", scope)
                    .floats();
            assertThat(IntStream.range(0, head.length).anyMatch(i -> head[i] != 0))
                    .isTrue();
        }
    }

    @Test
    void badBatchesAreRefused() {
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = model(scope, Set.of(), 1);
            Batch good = TinyModels.batch(CONFIG, new int[] {5}, new int[] {1}, 3);
            int[] fewer = good.idsT().clone();
            fewer[0] = 1;
            assertThatThrownBy(() -> model.lossSum(
                            new Batch(
                                    fewer,
                                    good.labelsT(),
                                    good.positionsT(),
                                    good.segmentStarts(),
                                    good.pixelsNCHW(),
                                    1,
                                    good.imageSize()),
                            scope))
                    .hasMessageContaining("3 visual tokens")
                    .hasMessageContaining("4 tokens each");
            assertThatThrownBy(() -> model.lossSum(
                            Batch.ofText(new int[] {1, 64}, new int[] {1, 2}, new int[] {0, 1}, new int[] {0, 2}),
                            scope))
                    .hasMessageContaining("vocabulary ends at 63");
            assertThatThrownBy(() -> model.lossSum(
                            new Batch(
                                    good.idsT(),
                                    good.labelsT(),
                                    good.positionsT(),
                                    good.segmentStarts(),
                                    new float[3 * 9 * 9],
                                    1,
                                    9),
                            scope))
                    .hasMessageContaining("the model reads side 12");
            assertThat(model.lossSum(Batch.ofText(new int[] {1}, new int[] {1}, new int[] {0}, new int[] {0, 1}), scope)
                            .item())
                    .isZero();
        }
    }
}
