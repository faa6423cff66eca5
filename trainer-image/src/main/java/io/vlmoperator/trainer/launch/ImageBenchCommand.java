package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.ImageBench;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** {@code vlm-trainer bench-images TAR}: prints one JSON object. */
final class ImageBenchCommand {
    private ImageBenchCommand() {}

    /** A store's speed would be part of the figures. */
    private static Path here(String place) {
        return Places.here(place, "bench-images");
    }

    static int run(List<String> words, PrintStream out) {
        Arguments arguments =
                Arguments.parse(words, List.of("--decoder", "--passes", "--ahead", "--tokenizer"), List.of());
        String decoder = arguments.one("--decoder").orElse("turbo");
        if (arguments.words().size() != 1 || !List.of("turbo", "jdk").contains(decoder)) {
            throw TrainerException.configuration(
                    "write: bench-images TAR [--decoder turbo|jdk] [--passes N] or bench-images TAR --ahead THREADS --tokenizer DIR");
        }
        try {
            Optional<Integer> ahead = arguments.number("--ahead", 1_024);
            if (ahead.isPresent()) {
                Path tokenizer = here(arguments
                        .one("--tokenizer")
                        .orElseThrow(() -> TrainerException.configuration("--ahead needs --tokenizer DIR")));
                out.println(Json.text(AheadBench.run(
                        here(arguments.words().getFirst()),
                        tokenizer,
                        ahead.get(),
                        arguments.number("--passes", 1_000).orElse(3))));
                return ExitCode.Completed.code();
            }
            out.println(Json.text(ImageBench.run(
                    here(arguments.words().getFirst()),
                    arguments.number("--passes", 1_000).orElse(3),
                    decoder.equals("turbo"))));
        } catch (IOException e) {
            throw TrainerException.data(e.getMessage());
        }
        return ExitCode.Completed.code();
    }
}
