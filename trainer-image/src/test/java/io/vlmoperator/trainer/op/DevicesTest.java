package io.vlmoperator.trainer.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Which device is chosen and why, what crosses between host and device, and attention in the form that GPUs use. */
class DevicesTest {
    private static final String CUDA_126 = "PyTorch built with: CUDA Runtime 12.6, NVCC architecture flags: "
            + "-gencode;arch=compute_50,code=sm_50;-gencode;arch=compute_80,code=sm_80;-gencode;arch=compute_86,code=sm_86;"
            + "-gencode;arch=compute_90,code=sm_90";

    private static Gpus.Gpu gpu(int major, int minor) {
        return new Gpus.Gpu("Card", major, minor, 80L << 30);
    }

    @Test
    void aGpuThatLibtorchHasCodeForIsChosen() {
        for (Gpus.Gpu known : List.of(gpu(8, 0), gpu(8, 9), gpu(9, 0))) {
            Gpus gpus = Gpus.checked(List.of(known), CUDA_126);
            assertThat(gpus.why()).isEmpty();
            assertThat(Torch.choose(gpus, null)).isEqualTo(Device.CUDA);
            assertThat(Torch.choose(gpus, "cuda")).isEqualTo(Device.CUDA);
            assertThat(Torch.choose(gpus, "cpu")).isEqualTo(Device.HOST);
        }
        assertThat(Device.CUDA).hasToString("cuda:0");
    }

    @Test
    void aNewerCardIsRefusedWithItsNameAndWhatIsKnown() {
        Gpus gpus = Gpus.checked(List.of(gpu(10, 0)), CUDA_126);
        assertThat(gpus.why().orElseThrow())
                .contains("no code for Card, compute capability 10.0, 80 GiB")
                .contains("it knows 5.0, 8.0, 8.6, 9.0");
        assertThat(Torch.choose(gpus, "")).isEqualTo(Device.HOST);
        assertThatThrownBy(() -> Torch.choose(gpus, "cuda"))
                .isInstanceOf(TorchException.class)
                .hasMessageContaining("no code for Card");
        assertThat(Gpus.checked(List.of(gpu(7, 5)), CUDA_126).why()).isPresent();
        // Without its list, PyPI's build for CUDA 12.6 is known by its version.
        assertThat(Gpus.checked(List.of(gpu(10, 0)), "Build settings: CUDA_VERSION=12.6, TORCH_VERSION=2.7.1")
                        .why()
                        .orElseThrow())
                .contains("it knows 5.0, 6.0, 7.0, 7.5, 8.0, 8.6, 9.0");
        assertThat(Gpus.checked(List.of(gpu(8, 9)), "CUDA_VERSION=12.6").why()).isEmpty();
        // Portable code is compiled for newer cards by the driver.
        assertThat(Gpus.checked(List.of(gpu(12, 0)), CUDA_126 + ";arch=compute_90,code=compute_90")
                        .why())
                .isEmpty();
    }

    @Test
    void withoutAGpuTheReasonIsSaid() {
        assertThat(Gpus.checked(List.of(), CUDA_126).why()).contains("CUDA finds no GPU");
        assertThatThrownBy(() -> Torch.choose(Gpus.none("none"), "tpu")).hasMessageContaining("VLM_DEVICE='tpu'");
        Torch torch = Torch.start();
        Optional<String> why = torch.gpus().why();
        assertThat(why.isPresent()).isEqualTo(torch.gpus().all().isEmpty());
        if (torch.device().isHost()) {
            assertThat(torch.deviceBytesInUse()).isEmpty();
            torch.synchronize();
        }
    }

    @Test
    void aTensorOfAnotherDeviceIsNotReadInPlace() {
        try (Scope scope = Scope.on(new Device(Device.Kind.META, 0))) {
            Tensor tensor = scope.floats(new float[] {1, 2, 3, 4}, 2, 2);
            assertThat(tensor.device().kind()).isEqualTo(Device.Kind.META);
            assertThat(tensor.shape()).containsExactly(2, 2);
            assertThatThrownBy(tensor::data)
                    .isInstanceOf(TorchException.class)
                    .hasMessageContaining("lies on meta")
                    .hasMessageContaining("host()");
            // Elements that do not exist can be overwritten, but not read.
            try (HostMemory memory = tensor.host(HostMemory.Access.WRITE)) {
                memory.segment().fill((byte) 0);
            }
            assertThatThrownBy(tensor::floats).isInstanceOf(TorchException.class);
        }
    }

    @Test
    void hostMemoryIsTheTensorsOwn() {
        try (Scope scope = Scope.onHost()) {
            Tensor tensor = scope.zeros(DType.FLOAT32, 2, 3);
            try (HostMemory memory = tensor.host(HostMemory.Access.WRITE)) {
                memory.segment().setAtIndex(ValueLayout.JAVA_FLOAT, 4, 7);
            }
            assertThat(tensor.floats()).containsExactly(0, 0, 0, 0, 7, 0);
            Tensor gaps = scope.ops().slice(tensor, 1, 0, 2);
            assertThatThrownBy(() -> gaps.host(HostMemory.Access.READ)).hasMessageContaining("has gaps");
        }
    }

    @Test
    void rowAttentionIsRectangleAttention() {
        int heads = 4;
        int keyHeads = 2;
        int dim = 8;
        int[] starts = {0, 5, 6, 38, 60};
        int[] positions = IntStream.range(0, 60).map(t -> t * 3 % 17).toArray();
        try (Scope scope = Scope.onHost()) {
            Tensor frequencies = RotaryTable.frequencies(scope, dim, 1000);
            Segments segments = Segments.of(scope, starts, positions, frequencies);
            for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
                same(
                        scope,
                        type,
                        new long[] {60, (heads + 2L * keyHeads) * dim},
                        (ops, x) -> ops.attention().ofSegments(x, segments, heads, keyHeads),
                        (ops, x) -> ops.attention().inRows(x, segments, heads, keyHeads));
            }
        }
    }

    @Test
    void imageAttentionInRowsIsTheSame() {
        try (Scope scope = Scope.onHost()) {
            for (DType type : List.of(DType.FLOAT32, DType.BFLOAT16)) {
                same(
                        scope,
                        type,
                        new long[] {3 * 9, 3 * 2 * 8},
                        (ops, x) -> ops.attention().ofImages(x, 9, 2),
                        (ops, x) -> ops.attention().ofImages(x, 9, 2, "image_row_attention"));
            }
        }
    }

    /** Values and gradients of two ways to compute the same. */
    private static void same(
            Scope scope,
            DType type,
            long[] shape,
            BiFunction<Ops, Tensor, Tensor> one,
            BiFunction<Ops, Tensor, Tensor> other) {
        Random random = new Random(3);
        Ops ops = scope.ops();
        Tensor x = scope.empty(DType.FLOAT32, shape);
        IntStream.range(0, (int) x.count())
                .forEach(i -> x.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian()));
        float[][] outputs = new float[2][];
        float[][] gradients = new float[2][];
        for (int i = 0; i < 2; i++) {
            BiFunction<Ops, Tensor, Tensor> f = i == 0 ? one : other;
            Tensor sum = scope.zeros(DType.FLOAT32, shape);
            Tensor leaf = ops.leaf(ops.cast(x, type), sum);
            Tape tape = new Tape(scope, Tape.Keep.ALL);
            Tensor output = tape.apply(true, x, (stage, ignored) -> f.apply(stage, leaf));
            outputs[i] = ops.cast(output, DType.FLOAT32).floats();
            Tensor upstream = scope.empty(DType.FLOAT32, output.shape());
            IntStream.range(0, (int) upstream.count())
                    .forEach(k -> upstream.data().setAtIndex(ValueLayout.JAVA_FLOAT, k, (k * 7 % 11 - 5) / 5f));
            tape.backward(ops.cast(upstream, type));
            gradients[i] = sum.floats();
        }
        close(outputs[1], outputs[0], type == DType.FLOAT32 ? 2e-6 : 2e-2);
        close(gradients[1], gradients[0], type == DType.FLOAT32 ? 5e-6 : 5e-2);
    }

    private static void close(float[] actual, float[] expected, double tolerance) {
        double largest = 0;
        double scale = 0;
        for (int i = 0; i < expected.length; i++) {
            largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
            scale = Math.max(scale, Math.abs(expected[i]));
        }
        assertThat(scale).isPositive();
        assertThat(largest / scale).isLessThan(tolerance);
    }
}
