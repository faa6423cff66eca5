package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.util.EnumSet;
import org.junit.jupiter.api.Test;

/** A step asks the device for nothing: on a GPU every element that Java reads would make it wait. */
class HostReadsTest {
    @Test
    void forwardBackwardNormAndUpdateReadNoElement() {
        ModelConfig config = TinyModels.config(true);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, EnumSet.allOf(Part.class));
            model.initialize(EnumSet.allOf(Part.class), 1);
            model.computeIn(DType.BFLOAT16);
            FusedAdamW optimizer = new FusedAdamW(
                    scope,
                    new FusedAdamW.Settings(0.9, 0.95, 1e-8, 0.1),
                    model.weights().values(),
                    model.weights().gradients(),
                    model.weights().decaySpans(),
                    0,
                    model.weights().values().count());
            Batch batch = TinyModels.batch(config, new int[] {9, 4, 30}, new int[] {2, 0, 1}, 7);
            for (Tape.Keep keep : Tape.Keep.values()) {
                try (Scope local = Scope.open()) {
                    long before = Torch.start().hostReads();
                    Tensor loss = model.accumulate(batch, 1, keep, local);
                    Tensor norm = local.ops().norm(model.weights().gradients());
                    optimizer.update(1e-3, 1, norm, 1);
                    model.weights().updated();
                    assertThat(Torch.start().hostReads()).isEqualTo(before);
                    assertThat(loss.item()).isFinite();
                    assertThat(Torch.start().hostReads()).isEqualTo(before + 1);
                }
            }
        }
    }
}
