package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.SaveBench;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** {@code vlm-trainer bench-checkpoint}: how long training stands still for a save that another thread writes. */
final class CheckpointBench {
    private static final int MOST = 10_000;
    private static final double MOST_OVER_COPY = 1.3;
    private static final double MIB = 1 << 20;

    private CheckpointBench() {}

    static int run(List<String> words, PrintStream out) throws IOException {
        Arguments arguments = Arguments.parse(words, List.of("--rounds", "--threads", "--folder", "--json"), List.of());
        arguments.requireNone();
        Torch.start().threads(arguments.number("--threads", MOST).orElse(1));
        Path folder = Files.createDirectories(Path.of(arguments.one("--folder").orElse("target/bench")));
        Path run = Files.createTempDirectory(folder, "checkpoint-");
        SaveBench.Figures figures;
        try {
            figures = SaveBench.measure(run, arguments.number("--rounds", MOST).orElse(7), out::println);
        } finally {
            delete(run);
        }
        String what = "training stands still for a save of %.0f MiB".formatted(figures.bytes() / MIB);
        BenchRow.publish(
                List.of(
                        BenchRow.beside(
                                what + ", beside a plain copy", figures.stallMillis(), "ms", figures.copyMillis()),
                        BenchRow.atMost(
                                "the same / plain copy, median of the rounds",
                                figures.stallOverCopy(),
                                "ratio",
                                MOST_OVER_COPY),
                        BenchRow.atMost(
                                "the same / a step without a save",
                                figures.stallMillis() / figures.stepMillis(),
                                "ratio",
                                1),
                        BenchRow.beside(
                                "a step while a save is written, beside one without",
                                figures.savingStepMillis(),
                                "ms",
                                figures.stepMillis()),
                        BenchRow.plain(
                                "training would stand still if it waited for the disk", figures.waitedMillis(), "ms")),
                Path.of(arguments.one("--json").orElse("target/bench/checkpoint.json")),
                out);
        return ExitCode.Completed.code();
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
