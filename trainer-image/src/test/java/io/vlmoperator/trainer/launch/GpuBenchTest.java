package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.plan.Device;
import io.vlmoperator.trainer.train.Flops;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark for GPUs: its arithmetic, and the whole of it on the processor with a small model. */
@Timeout(600)
class GpuBenchTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private int run(String... words) throws IOException {
        return GpuBench.run(List.of(words), Map.of(), new PrintStream(out, true, StandardCharsets.UTF_8));
    }

    private String said() {
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void withoutAGpuItSaysSo() throws IOException {
        if (Torch.start().device().isHost()) {
            assertThat(run()).isEqualTo(GpuBench.NO_GPU);
            assertThat(said().lines()).hasSize(1).first().asString().startsWith("bench-gpu: there is no GPU");
        }
        assertThatThrownBy(() -> run("--device", "cpu", "--size", "huge")).hasMessageContaining("paper or tiny");
    }

    @Test
    void theSameCodeRunsOnTheProcessor(@TempDir Path folder) throws IOException {
        if (!Torch.start().device().isHost()) {
            return;
        }
        Path json = folder.resolve("gpu.json");
        assertThat(run(
                        "--device",
                        "cpu",
                        "--size",
                        "tiny",
                        "--steps",
                        "2",
                        "--rows",
                        "1",
                        "--rounds",
                        "3",
                        "--sizes",
                        "1",
                        "--json",
                        json.toString()))
                .as(said())
                .isZero();
        JsonNode rows = new ObjectMapper().readTree(json.toFile());
        assertThat(value(rows, "tokens of a step")).isEqualTo(96);
        assertThat(value(rows, "images of a step")).isEqualTo(4);
        assertThat(value(rows, "times that the host waited")).isZero();
        assertThat(value(rows, "tokens per second")).isPositive();
        assertThat(value(rows, "loss")).isBetween(5.0, 8.0); // ln(512) = 6.2
        assertThat(value(rows, "MFU over decoder")).isPositive().isLessThan(2);
        assertThat(value(rows, "all-reduce of 1 MiB")).isPositive();
        assertThat(value(rows, "reduce-scatter of 1 MiB")).isPositive();
        assertThat(value(rows, "all-gather of 1 MiB")).isPositive();
        assertThat(value(rows, "Exact: two runs of the same steps end with the same bits"))
                .isEqualTo(1);
        assertThat(value(rows, "determinism Exact, beside Fast")).isPositive();
        assertThat(value(rows, "training stands still for a save")).isPositive();
        assertThat(value(rows, "copy into page-locked memory")).isPositive();
        for (String check : List.of(
                "sums of 9 sizes",
                "FLOAT32 and BFLOAT16",
                "done in order",
                "messages of the host",
                "is waited for",
                "are refused",
                "later than the limit",
                "closing ends",
                "a rank that dies: PeerLost")) {
            assertThat(value(rows, check)).as(check).isEqualTo(1);
        }
        assertThat(Torch.start().exact()).isFalse();
        assertThat(said()).contains("MFU = (vision and projector ", "2 ranks");
    }

    private static double value(JsonNode rows, String figure) {
        for (JsonNode row : rows) {
            if (row.path("figure").asText().contains(figure)) {
                return row.path("value").asDouble();
            }
        }
        throw new AssertionError("no row " + figure);
    }

    @Test
    void mfuIsWorkOverTimeAndPeak() {
        GpuBench.Measured measured =
                new GpuBench.Measured(8192, 46, new Flops.Terms(1e13, 5e13, 2e12, 8e12), 0.1, 11, 0, 40e9, 0);
        List<BenchRow> rows = GpuBench.rows(GpuBench.Setting.PAPER, "NVIDIA H200", measured, OptionalDouble.of(989e12));
        BenchRow mfu = rows.getLast();
        assertThat(mfu.value()).isCloseTo(7e13 / 0.1 / 989e12, within(1e-3));
        assertThat(mfu.goal()).isEqualTo(0.5);
        assertThat(mfu.met()).isTrue();
        assertThat(GpuBench.rows(GpuBench.Setting.PAPER, "Other", measured, OptionalDouble.empty()))
                .noneMatch(row -> row.figure().contains("MFU"));
        assertThat(GpuBench.formula(measured, OptionalDouble.of(989e12)))
                .contains("1.000e+13", "5.000e+13", "2.000e+12", "8.000e+12", "0.1000 s", "9.890e+14 FLOP/s");
        assertThat(GpuBench.formula(measured, OptionalDouble.empty())).contains("--peak");
    }

    @Test
    void busBandwidthIsThatOfNcclTests() {
        assertThat(CollectiveBench.busFactor("all-reduce", 2)).isEqualTo(1);
        assertThat(CollectiveBench.busFactor("all-reduce", 8)).isEqualTo(1.75);
        assertThat(CollectiveBench.busFactor("reduce-scatter", 8)).isEqualTo(0.875);
        assertThat(CollectiveBench.busFactor("all-gather", 4)).isEqualTo(0.75);
    }

    @Test
    void cardsAreKnownByTheDriversName() {
        assertThat(Device.ofCard("NVIDIA H100 80GB HBM3").orElseThrow().name()).isEqualTo("H100-80G");
        assertThat(Device.ofCard("NVIDIA H200").orElseThrow().name()).isEqualTo("H200-141G");
        assertThat(Device.ofCard("NVIDIA L40S").orElseThrow().name()).isEqualTo("L40S-48G");
        assertThat(Device.ofCard("NVIDIA L4").orElseThrow().name()).isEqualTo("L4-24G");
        assertThat(Device.ofCard("NVIDIA GeForce RTX 4090").orElseThrow().name())
                .isEqualTo("RTX4090-24G");
        assertThat(Device.ofCard("NVIDIA H100 PCIe")).isEmpty();
        assertThat(Device.ofCard("Tesla V100-SXM2-16GB")).isEmpty();
    }
}
