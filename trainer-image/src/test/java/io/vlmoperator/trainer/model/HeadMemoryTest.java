package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Head;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What loss and gradients of a full-size head need besides hidden states, weight and gradient of the weight. */
class HeadMemoryTest {
    private static final int VOCABULARY = 151_936;
    private static final int WIDTH = 1536;
    private static final int WHOLE_ROW = 4096;
    /** More than one chunk; the row's other tokens only add to what is as wide as a hidden state. */
    private static final int ROWS = VisionLanguageModel.headChunk(VOCABULARY) + 32;

    private static final long MIB = 1 << 20;

    @Test
    void aRowOf4096TokensAddsLessThan600MiB() throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-XX:+UseSerialGC",
                        "-Xmx64m",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        HeadMemoryTest.class.getName())
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        Matcher matcher = Pattern.compile("added (\\d+) KiB, loss (\\S+)").matcher(output);
        assertThat(matcher.find()).as(output).isTrue();
        assertThat(Double.parseDouble(matcher.group(2)) / ROWS)
                .as("mean loss of a head of zeros")
                .isCloseTo(Math.log(VOCABULARY), org.assertj.core.data.Offset.offset(1e-3));
        long added = Long.parseLong(matcher.group(1)) * 1024;
        long others = (long) (WHOLE_ROW - ROWS) * WIDTH * Float.BYTES;
        assertThat(added).as("the measurement sees a chunk of logits").isGreaterThan(100 * MIB);
        assertThat((added + others) / MIB).as("MiB").isLessThanOrEqualTo(600);
    }

    /** Runs in a process of its own, whose peak is then that of the head. */
    public static void main(String[] arguments) throws IOException {
        System.setProperty("ai.djl.offline", "true");
        Torch.start().threads(1);
        try (Scope scope = Scope.open()) {
            Tensor weight = scope.zeros(DType.FLOAT32, VOCABULARY, WIDTH);
            Tensor leaf = scope.ops().leaf(weight, scope.zeros(DType.FLOAT32, VOCABULARY, WIDTH));
            Tensor hidden = scope.zeros(DType.FLOAT32, ROWS, WIDTH);
            Tensor targets = scope.indices(new int[ROWS]);
            // The first product of a process sets the library's own buffers up.
            scope.ops().linear(hidden, scope.zeros(DType.FLOAT32, WIDTH, WIDTH));
            long before = status("VmRSS");
            Head.Gradients head =
                    scope.ops().head().gradients(hidden, leaf, targets, 1, VisionLanguageModel.headChunk(VOCABULARY));
            System.out.println("added " + (status("VmHWM") - before) + " KiB, loss "
                    + head.lossSum().item());
        }
        System.exit(0);
    }

    private static long status(String field) throws IOException {
        Matcher matcher =
                Pattern.compile(field + ":\\s+(\\d+) kB").matcher(Files.readString(Path.of("/proc/self/status")));
        return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
    }
}
