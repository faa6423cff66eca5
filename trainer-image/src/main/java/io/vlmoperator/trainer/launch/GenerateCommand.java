package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.eval.Generate;
import io.vlmoperator.trainer.model.Sampling;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;

/** {@code vlm-trainer generate}: prints the answer while it is made. */
final class GenerateCommand {
    private static final int MAX_NEW_TOKENS = 4096;
    private static final int DEFAULT_NEW_TOKENS = 64;

    private GenerateCommand() {}

    static void run(List<String> words, Map<String, String> environment, PrintStream out) {
        Arguments arguments = Arguments.parse(
                words,
                List.of(
                        "--checkpoint",
                        "--prompt",
                        "--max-new-tokens",
                        "--temperature",
                        "--top-k",
                        "--top-p",
                        "--seed"),
                List.of("--image", "--stop", "--mount"));
        arguments.requireNone();
        String checkpoint = arguments
                .one("--checkpoint")
                .orElseThrow(() -> TrainerException.configuration(
                        "option --checkpoint is missing; name a run folder, a checkpoint or an export"));
        Places places = Places.of(arguments, environment);
        Printer printer = new Printer(out);
        Generate.answer(
                new Generate.Request(
                        places.path(checkpoint),
                        arguments.many("--image").stream().map(places::path).toList(),
                        arguments.one("--prompt").orElse(""),
                        arguments.number("--max-new-tokens", MAX_NEW_TOKENS).orElse(DEFAULT_NEW_TOKENS),
                        sampling(arguments),
                        arguments.count("--seed", Long.MAX_VALUE).orElse(0),
                        arguments.many("--stop")),
                printer::print);
        out.println();
    }

    private static Sampling sampling(Arguments arguments) {
        double temperature = arguments.decimal("--temperature").orElse(0);
        for (String option : List.of("--top-k", "--top-p", "--seed")) {
            if (temperature == 0 && arguments.one(option).isPresent()) {
                throw TrainerException.configuration(
                        option + " is for sampling; give a --temperature above 0, such as 0.7, too");
            }
        }
        try {
            return new Sampling(
                    temperature,
                    (int) arguments.count("--top-k", Integer.MAX_VALUE).orElse(0),
                    arguments.decimal("--top-p").orElse(1));
        } catch (IllegalArgumentException e) {
            throw new TrainerException(ExitCode.InvalidConfiguration, "--" + e.getMessage(), e);
        }
    }

    /** Prints without the white space that an answer may begin with. */
    private static final class Printer {
        private final PrintStream out;
        private boolean begun;

        Printer(PrintStream out) {
            this.out = out;
        }

        void print(String piece) {
            String text = begun ? piece : piece.stripLeading();
            if (!text.isEmpty()) {
                begun = true;
                out.print(text);
                out.flush();
            }
        }
    }
}
