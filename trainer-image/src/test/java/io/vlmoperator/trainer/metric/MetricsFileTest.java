package io.vlmoperator.trainer.metric;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsFileTest {
    @TempDir
    Path folder;

    static StepRecord record(long step, double loss) {
        return new StepRecord(step, 10, loss, 1, 1e-3, step * 100, 1000, 0.4, 0.01, 0.1, 3, 300);
    }

    @Test
    void resumedRunHasOneLineAStep() throws IOException {
        Path file = folder.resolve("run/metrics.jsonl");
        try (MetricsFile metrics = MetricsFile.resume(file, 0)) {
            for (int step = 1; step <= 5; step++) {
                metrics.write(record(step, step));
            }
        }
        Files.writeString(file, "{\"dataWait\":0.01,\"gradi", StandardOpenOption.APPEND);
        try (MetricsFile metrics = MetricsFile.resume(file, 3)) {
            metrics.write(record(4, 44));
        }
        assertThat(Files.readAllLines(file)).hasSize(4);
        assertThat(Files.readAllLines(file).getLast()).contains("\"step\":4").contains("\"loss\":44.0");
        try (MetricsFile metrics = MetricsFile.resume(file, 0)) {
            metrics.write(record(1, 1));
        }
        assertThat(Files.readAllLines(file)).hasSize(1);
    }
}
