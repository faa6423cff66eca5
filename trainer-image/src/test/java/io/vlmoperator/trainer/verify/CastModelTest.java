package io.vlmoperator.trainer.verify;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.checkpoint.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A golden of transformers 4.53.3 whose maker cast the whole model to BF16 and back: its rotary frequencies are rounded. */
class CastModelTest {
    private static final Path REFERENCE = Path.of("src/test/resources/reference-bf16/decoder");

    @TempDir
    private Path folder;

    private static List<Comparison> run(Path reference) throws IOException {
        return Verify.run(reference, Optional.empty(), Optional.empty());
    }

    private static Stream<String> lines(List<Comparison> all, String what) {
        return all.stream().map(Comparison::line).filter(line -> line.contains(what));
    }

    @Test
    void isComparedWithTheSameRoundingAndALineSaysSo() throws IOException {
        List<Comparison> all = run(REFERENCE);

        assertThat(all).allMatch(Comparison::passed, "within its limit");
        assertThat(lines(all, "rotary frequencies in float32"))
                .singleElement()
                .asString()
                .contains("rounded to BF16");
        assertThat(lines(all, "forward_wide/logits")).singleElement().asString().endsWith("ok");
    }

    @Test
    void whatIsWrongForAnotherReasonStaysWrongAndIsComparedWithExactFrequencies() throws IOException {
        Path copy = folder.resolve("decoder");
        try (Stream<Path> files = Files.walk(REFERENCE)) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(REFERENCE.relativize(file).toString()));
            }
        }
        Path golden = copy.resolve("forward_wide.safetensors");
        byte[] bytes = Files.readAllBytes(golden);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        float logit;
        try (Safetensors file = Safetensors.open(golden)) {
            logit = file.get("logits").floats()[7];
        }
        int at = 0;
        while (buffer.getInt(at) != Float.floatToRawIntBits(logit)) {
            at++;
        }
        buffer.putFloat(at, logit + 1);
        Files.write(golden, bytes);

        List<Comparison> all = run(copy);

        assertThat(lines(all, "forward_wide/logits")).singleElement().asString().endsWith("FAILED");
        assertThat(lines(all, "rotary frequencies in float32")).isEmpty();
    }
}
