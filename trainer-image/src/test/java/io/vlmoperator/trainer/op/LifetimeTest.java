package io.vlmoperator.trainer.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class LifetimeTest {
    @Test
    void closingAScopeClosesWhatWasMadeInItAndInItsChildren() {
        long before = Torch.start().liveTensors();
        Tensor kept;
        Tensor lost;
        try (Scope outer = Scope.open()) {
            try (Scope inner = outer.child()) {
                lost = inner.floats(new float[] {1, 2});
                kept = inner.ops().add(lost, lost).moveTo(outer);
                inner.child().floats(new float[] {3});
                assertThat(outer.live()).isEqualTo(3);
            }
            assertThat(outer.live()).isEqualTo(1);
            assertThat(kept.floats()).containsExactly(2, 4);
            assertThatThrownBy(lost::shape)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
        }
        assertThatThrownBy(kept::floats).isInstanceOf(IllegalStateException.class);
        assertThat(Torch.start().liveTensors()).isEqualTo(before);
    }

    @Test
    void memoryIsSharedAndGuarded() {
        MemorySegment data;
        try (Scope scope = Scope.open()) {
            Tensor x = scope.zeros(DType.FLOAT32, 2, 3);
            data = x.data();
            data.setAtIndex(ValueLayout.JAVA_FLOAT, 4, 7);
            assertThat(x.floats()).containsExactly(0, 0, 0, 0, 7, 0);
            Tensor row = scope.ops().slice(x, 0, 1, 2);
            assertThat(row.data().getAtIndex(ValueLayout.JAVA_FLOAT, 1)).isEqualTo(7);
            Tensor column = scope.ops().slice(x, 1, 1, 2);
            assertThatThrownBy(column::data).hasMessageContaining("contiguous");
            assertThat(scope.ops().contiguous(column).floats()).containsExactly(0, 7);
            assertThat(scope.empty(DType.FLOAT32, 0, 4).floats()).isEmpty();
        }
        assertThatThrownBy(() -> data.get(ValueLayout.JAVA_FLOAT, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void onlyTheOneLibtorchIsAccepted() {
        assertThatThrownBy(() -> Torch.requireVersion("Build settings: TORCH_VERSION=2.10.0, USE_CUDA=0"))
                .hasMessageContaining("2.10.0")
                .hasMessageContaining("2.7.1 only");
        assertThatThrownBy(() -> Torch.requireVersion("no settings")).hasMessageContaining("unknown");
        Torch.requireVersion("TORCH_VERSION=2.7.1, USE_CUDA=ON");
        Torch.requireVersion("TORCH_VERSION=2.7.1+cu128, USE_CUDA=ON");
    }

    @Test
    void threadsCanBeSet() {
        Torch torch = Torch.start();
        torch.threads(1);
        assertThat(torch.threads()).isEqualTo(1);
        assertThatThrownBy(() -> torch.threads(0)).hasMessageContaining("at least 1");
    }
}
