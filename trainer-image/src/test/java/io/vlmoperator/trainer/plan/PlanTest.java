package io.vlmoperator.trainer.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class PlanTest {
    private static final Set<Part> PAPER = EnumSet.of(Part.PROJECTOR, Part.LANGUAGE);

    private static Workload paper(Set<Part> trained, Workload.Recompute recompute, boolean causal) {
        return new Workload(
                new ModelConfig(
                        KnownModels.language("pvc://models/Qwen2.5-1.5B-Instruct")
                                .orElseThrow(),
                        KnownModels.vision("pvc://models/siglip-so400m-patch14-384/", -2, VisionConfig.Activation.Erf)
                                .orElseThrow(),
                        new ProjectorConfig(144)),
                trained,
                true,
                recompute,
                4,
                256,
                4096,
                4096,
                176,
                1,
                causal);
    }

    /**
     * The paper's mix (28.4 million pairs of 144 visual and 32 text tokens, attention over whole rows of 4,096), counted here product by
     * product from the architectures' sizes.
     */
    @Test
    void operationsOfThePapersMix() {
        double decoderLayer = 2.0
                * (1536 * 1536 // queries
                        + 2 * 1536 * 256 // keys and values of two heads of 128
                        + 1536 * 1536 // output
                        + 3 * 1536 * 8960); // gate, up, down
        double linear = 3 * 28 * decoderLayer;
        double scoresAndValues = 3 * 28 * 12 * (4.0 * 128) * 2048.5;
        double head = 3 * 2.0 * 1536 * 151_936;
        double encoderLayer = 2.0 * 729 * (4 * 1152 * 1152 + 2 * 1152 * 4304) + 16 * (4.0 * 72) * 729 * 729;
        double encoder = 26 * encoderLayer + 2.0 * 729 * 588 * 1152;
        double projector = 3 * 2.0 * 144 * (1152 * 1536 + 1536 * 1536);

        FlopsPerToken flops = FlopsPerToken.of(paper(PAPER, Workload.Recompute.NONE, true));

        assertThat(flops.linear()).isEqualTo(linear, within(1e-6 * linear));
        assertThat(flops.attention()).isEqualTo(scoresAndValues, within(1e-6 * scoresAndValues));
        assertThat(flops.head()).isEqualTo(head, within(1e-6 * head));
        assertThat(flops.vision()).isEqualTo(encoder / 176, within(1e-6 * encoder / 176));
        assertThat(flops.projector()).isEqualTo(projector / 176, within(1e-6 * projector / 176));
        assertThat(flops.total()).isEqualTo(13.98e9, within(0.02 * 13.98e9));
    }

    @Test
    void whatIsFrozenCostsLess() {
        double none =
                FlopsPerToken.of(paper(Set.of(), Workload.Recompute.NONE, true)).total();
        double projector = FlopsPerToken.of(paper(Set.of(Part.PROJECTOR), Workload.Recompute.NONE, true))
                .total();
        double usual =
                FlopsPerToken.of(paper(PAPER, Workload.Recompute.NONE, true)).total();
        double all = FlopsPerToken.of(paper(EnumSet.allOf(Part.class), Workload.Recompute.NONE, true))
                .total();
        assertThat(none).isLessThan(projector);
        assertThat(projector).isLessThan(usual);
        assertThat(usual).isLessThan(all);
        assertThat(FlopsPerToken.of(paper(PAPER, Workload.Recompute.NONE, false))
                        .attention())
                .isLessThan(0.05e9);
    }

    /**
     * llm-foundry's published run of MPT-1.3B (24 layers, width 2048, MLP four times as wide, vocabulary 50,368, rows of 4,096) on eight
     * A100-40G: 16,856 tokens/s a GPU at an MFU of 55.9 %. It counts attention over all pairs, twice the causal half.
     */
    @Test
    void throughputOfAPublishedRun() {
        double linear = 3 * 24 * 2.0 * (4 * 2048 * 2048 + 2 * 2048 * 8192);
        double attention = 3 * FlopsPerToken.attention(24, 2048, 4096);
        double head = 3 * 2.0 * 2048 * 50_368;
        FlopsPerToken flops = new FlopsPerToken(linear, attention, head, 0, 0);

        double tokensPerSecond =
                flops.tokensPerSecond(Device.gpu("A100-40G").orElseThrow().peak(), 0.559);

        assertThat(tokensPerSecond).isEqualTo(16_856, within(0.02 * 16_856));
    }

    @Test
    void memoryByPart() {
        Device gpu = Device.gpu("H100-80G").orElseThrow();
        Workload work = paper(PAPER, Workload.Recompute.NONE, true);
        long trained = work.trainedCount();
        // 1,543,714,304 of the decoder (tied head) and the projector's two layers with their biases.
        assertThat(trained).isEqualTo(1_543_714_304L + 1152 * 1536 + 1536 * 1536 + 2 * 1536);

        MemoryPlan whole = MemoryPlan.of(work, gpu, 1);
        assertThat(whole.gradients()).isEqualTo(4.0 * trained);
        assertThat(whole.moments()).isEqualTo(8.0 * trained);
        assertThat(whole.weights()).isEqualTo(4.0 * work.count() + 2.0 * work.count());
        assertThat(whole.total())
                .isEqualTo(whole.parts().values().stream()
                        .mapToDouble(Double::doubleValue)
                        .sum());
        // Weight and two moments of what is saved; beside a GPU in the host's memory.
        assertThat(whole.staging()).isEqualTo(12.0 * trained);
        assertThat(whole.parts()).doesNotContainKey("copy for checkpoints");
        MemoryPlan processor = MemoryPlan.of(work, new Device(Device.CPU, Long.MAX_VALUE, 1e11, 1e9, 0), 2);
        assertThat(processor.staging()).isEqualTo(6.0 * trained);
        assertThat(processor.parts()).containsEntry("copy for checkpoints", 6.0 * trained);
        assertThat(processor.total())
                .isEqualTo(processor.parts().values().stream()
                        .mapToDouble(Double::doubleValue)
                        .sum());
        MemoryPlan sharded = MemoryPlan.of(work, gpu, 8);
        assertThat(sharded.moments()).isEqualTo(trained);
        assertThat(sharded.total()).isLessThan(whole.total());
        double selective = MemoryPlan.of(paper(PAPER, Workload.Recompute.SELECTIVE, true), gpu, 1)
                .kept();
        double full = MemoryPlan.of(paper(PAPER, Workload.Recompute.FULL, true), gpu, 1)
                .kept();
        assertThat(selective).isLessThan(0.75 * whole.kept());
        assertThat(full).isLessThan(0.2 * selective);
    }

    @Test
    void aRunOnSeveralNodes() {
        Workload work = paper(PAPER, Workload.Recompute.NONE, true);
        RunPlan one = RunPlan.of(work, Device.gpu("A100-40G").orElseThrow(), 1, 8, 5e9, 0.283, 25e9, false);
        // 220 GPU-hours are what the paper reports.
        assertThat(one.deviceHours()).isEqualTo(220, within(2.0));
        assertThat(one.steps()).isEqualTo(4769);
        assertThat(one.fits()).isFalse();
        assertThat(one.sentBytes()).isEqualTo(2 * 7 / 8.0 * 4 * work.trainedCount(), within(1.0));
        RunPlan four = RunPlan.of(work, Device.gpu("A100-40G").orElseThrow(), 4, 8, 5e9, 0.283, 25e9, false);
        assertThat(four.hours()).isEqualTo(one.hours() / 4, within(1e-9));
        assertThat(four.step().reduce()).isGreaterThan(one.step().reduce());
        assertThat(four.hoursAtMost()).isGreaterThan(four.hours());
        RunPlan single = RunPlan.of(work, Device.gpu("H200-141G").orElseThrow(), 1, 1, 5e9, 0.4, 25e9, false);
        assertThat(single.sentBytes()).isZero();
        assertThat(single.step().reduce() + single.step().gather()).isZero();
        assertThat(single.efficiency()).isEqualTo(1, within(0.01));
    }

    @Test
    void weightsAreGatheredInTheTypeThatLayersComputeIn() {
        Workload work = paper(PAPER, Workload.Recompute.NONE, true);
        RunPlan run = RunPlan.of(work, Device.gpu("H100-80G").orElseThrow(), 1, 8, 5e9, 0.4, 25e9, true);
        assertThat(run.sentBytes()).isEqualTo(7 / 8.0 * (4 + 2) * work.trainedCount(), within(1.0));
        assertThat(run.step().gather()).isLessThan(0.6 * run.step().reduce());
    }

    @Test
    void moreDevicesThanTheBatchHasRowsDoNotHelp() {
        Workload work = paper(PAPER, Workload.Recompute.NONE, true);
        Device gpu = Device.gpu("H100-80G").orElseThrow();
        double hours = Double.MAX_VALUE;
        double efficiency = 1.01;
        for (int nodes : new int[] {1, 8, 32}) {
            RunPlan run = RunPlan.of(work, gpu, nodes, 8, 5e9, 0.4, 25e9, true);
            assertThat(run.hoursPredicted()).isLessThan(hours);
            assertThat(run.efficiency()).isLessThan(efficiency).isPositive();
            hours = run.hoursPredicted();
            efficiency = run.efficiency();
        }
        RunPlan tooMany = RunPlan.of(work, gpu, 128, 8, 5e9, 0.4, 25e9, true);
        assertThat(tooMany.hoursPredicted()).isGreaterThan(hours);
    }

    /** Reduction hides behind the way back of one micro-batch, gathering behind its way forward; messages behind nothing. */
    @Test
    void whatHidesBehindComputing() {
        assertThat(new StepTime(6, 3, 2, 1, 0).seconds()).isEqualTo(6);
        assertThat(new StepTime(6, 3, 2.5, 1.25, 0.125).seconds()).isEqualTo(6.875);
        assertThat(new StepTime(6, 3, 2, 1, 0.5).atMost()).isEqualTo(9.5);
        assertThat(StepTime.sharedCore(1, 1e9, 2, 1e9).atMost()).isEqualTo(2);
        assertThat(new StepTime(6, 3, 4, 1, 0).waitedShare()).isEqualTo(0.25);
    }

    @Test
    void publishedModels() {
        LanguageConfig small =
                KnownModels.language("file:///models/Qwen2.5-0.5B-Instruct").orElseThrow();
        assertThat(small.headDim()).isEqualTo(64);
        assertThat(KnownModels.language("pvc://m/Qwen2.5-7B").orElseThrow().tieWordEmbeddings())
                .isFalse();
        assertThat(KnownModels.language("pvc://m/Qwen2.5-72B")).isEmpty();
        assertThat(KnownModels.language("pvc://m/llama")).isEmpty();
        assertThat(KnownModels.vision("pvc://m/clip", -2, VisionConfig.Activation.Tanh))
                .isEmpty();
    }

    @Test
    void impossibleWork() {
        Workload work = paper(PAPER, Workload.Recompute.NONE, true);
        assertThatThrownBy(() ->
                        new Workload(work.model(), PAPER, true, Workload.Recompute.NONE, 0, 1, 10, 10, 10, 1, true))
                .hasMessageContaining("0 rows");
        assertThatThrownBy(() ->
                        new Workload(work.model(), PAPER, true, Workload.Recompute.NONE, 1, 1, 10, 9, 10, 1, true))
                .hasMessageContaining("in order");
    }
}
