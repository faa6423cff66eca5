package io.vlmoperator.trainer.metric;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsFileTest {
    @TempDir
    Path folder;

    static StepRecord record(long step, double loss) {
        return new StepRecord(step, 10, loss, 1, 1e-3, step * 100, 1000, 0.4, 0.01, 0.1, 3, 300, null, null);
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

    @Test
    void aReplacedWriterThatWakesUpChangesNothing() throws IOException {
        Path file = folder.resolve("run/metrics.jsonl");
        Path board = folder.resolve("run/tensorboard");
        try (MetricsFile old = MetricsFile.resume(file, 0);
                TensorBoardFile oldBoard = TensorBoardFile.create(board, 1, 1, 1.7e9)) {
            old.write(record(1, 1));
            old.write(record(2, 2));
            oldBoard.write(1.7e9, 1, Map.of("train/loss", 1.0));
            try (MetricsFile own = MetricsFile.resume(file, 1);
                    TensorBoardFile ownBoard = TensorBoardFile.create(board, 2, 2, 1.7e9 + 10)) {
                Map<String, String> before = content();
                old.write(record(3, 3));
                oldBoard.write(1.7e9, 3, Map.of("train/loss", 3.0));
                assertThat(content()).isEqualTo(before);
                own.write(record(2, 22));
                ownBoard.write(1.7e9 + 10, 2, Map.of("train/loss", 22.0));
                old.write(record(4, 4));
            }
        }
        assertThat(Files.readAllLines(file)).hasSize(2);
        assertThat(Files.readAllLines(file).getFirst()).contains("\"step\":1,");
        assertThat(Files.readAllLines(file).getLast()).contains("\"step\":2,").contains("\"loss\":22.0");
        assertThat(content().keySet()).noneMatch(name -> name.endsWith(".tmp"));
    }

    /** Name to content of all files. */
    private Map<String, String> content() throws IOException {
        Map<String, String> all = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                all.put(folder.relativize(file).toString(), HexFormat.of().formatHex(Files.readAllBytes(file)));
            }
        }
        return all;
    }
}
