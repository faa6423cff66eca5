package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.ImageBench;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/** {@code vlm-trainer bench-images TAR}: prints one JSON object. */
final class ImageBenchCommand {
    private ImageBenchCommand() {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments = Arguments.parse(words, List.of("--decoder", "--passes"), List.of());
        String decoder = arguments.one("--decoder").orElse("turbo");
        if (arguments.words().size() != 1 || !List.of("turbo", "jdk").contains(decoder)) {
            throw TrainerException.configuration("write: bench-images TAR [--decoder turbo|jdk] [--passes N]");
        }
        try {
            out.println(Json.text(ImageBench.run(
                    Path.of(arguments.words().getFirst()),
                    arguments.number("--passes", 1_000).orElse(3),
                    decoder.equals("turbo"))));
        } catch (IOException e) {
            throw TrainerException.data(e.getMessage());
        }
        return ExitCode.Completed.code();
    }
}
