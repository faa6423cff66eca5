package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.CheckpointTools;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** {@code vlm-trainer checkpoint list|verify|prune|delete RUN}: storage work while no trainer runs. Prints one JSON object. */
final class CheckpointCommand {
    private final Arguments arguments;
    private final Map<String, String> environment;
    private final PrintStream out;

    CheckpointCommand(List<String> words, Map<String, String> environment, PrintStream out) {
        this.arguments = Arguments.parse(words, List.of("--keep", "--step", "--pins"), List.of("--mount"));
        this.environment = environment;
        this.out = out;
    }

    int run() {
        List<String> words = arguments.words();
        if (words.size() != 2) {
            throw TrainerException.configuration("write: checkpoint list|verify|prune|delete RUN");
        }
        Path run = folder(words.get(1));
        try {
            CheckpointTools.Report report = switch (words.getFirst()) {
                case "list" -> CheckpointTools.list(run);
                case "verify" -> CheckpointTools.verify(run);
                case "prune" ->
                    CheckpointTools.prune(
                            run,
                            arguments
                                    .number("--keep", 1_000_000)
                                    .orElseThrow(() -> TrainerException.configuration("prune needs --keep N")),
                            pins());
                case "delete" ->
                    CheckpointTools.delete(
                            run,
                            arguments
                                    .number("--step", 999_999_999)
                                    .orElseThrow(() -> TrainerException.configuration("delete needs --step N")));
                default ->
                    throw TrainerException.configuration(
                            "unknown: checkpoint " + words.getFirst() + "; there are list, verify, prune and delete");
            };
            out.println(Json.text(report));
            ExitCode code = report.damaged().isEmpty() ? ExitCode.Completed : ExitCode.InvalidData;
            lastWords(code, report);
            return code.code();
        } catch (IOException e) {
            throw TrainerException.storage(run + ": " + e.getMessage(), e);
        }
    }

    private Set<Long> pins() {
        String text = arguments.one("--pins").orElse("");
        if (!text.matches("(\\d{1,9}(,\\d{1,9}){0,9999})?")) {
            throw TrainerException.configuration("--pins is a list of steps such as 500,1000");
        }
        return Stream.of(text.split(",", -1))
                .filter(step -> !step.isEmpty())
                .map(Long::valueOf)
                .collect(Collectors.toSet());
    }

    private void lastWords(ExitCode code, CheckpointTools.Report report) throws IOException {
        Optional<String> log = Optional.ofNullable(environment.get(PodEnvironment.TERMINATION_LOG));
        if (log.isPresent()) {
            String line = Json.text(report);
            Ending.write(
                    Path.of(log.get()),
                    new TerminationMessage(
                            code.name(),
                            line.length() > 3000 ? line.substring(0, 3000) : line,
                            null,
                            null,
                            report.checkpoints().isEmpty()
                                    ? null
                                    : report.checkpoints().getFirst(),
                            null,
                            null,
                            null,
                            null,
                            null));
        }
    }

    private Path folder(String place) {
        Path folder = Places.of(arguments, environment).path(place);
        if (!Files.isDirectory(folder)) {
            throw TrainerException.configuration(folder + " is no folder");
        }
        return folder;
    }
}
