package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.spec.Select.Metric;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.DatasetScores;
import io.vlmoperator.trainer.data.FilterModel;
import io.vlmoperator.trainer.eval.CaptionFilter;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** {@code vlm-trainer data score}: scores of a filter model for the samples of a finished Dataset. */
final class DataScoreCommand {
    private DataScoreCommand() {}

    static int run(List<String> words, Map<String, String> environment, PrintStream out) {
        Arguments arguments =
                Arguments.parse(words, List.of("--scorer", "--threads", "--part"), List.of("--metric", "--mount"));
        if (arguments.words().size() != 2) {
            throw TrainerException.configuration(
                    "write: data score DATASET --scorer DIR [--metric NAME]... [--threads N] [--part I/N] [--mount CLAIM=FOLDER]...");
        }
        Places places = Places.of(arguments, environment);
        String scorer = arguments
                .one("--scorer")
                .orElseThrow(() ->
                        TrainerException.configuration("option --scorer is missing: the folder of the filter model"));
        int threads =
                arguments.number("--threads", 1024).orElse(Runtime.getRuntime().availableProcessors());
        try (FilterModel model = CaptionFilter.opener(threads).open(places.path(scorer))) {
            DatasetScores.score(
                    places.path(arguments.words().get(1)),
                    places.locations(),
                    model,
                    metrics(arguments.many("--metric")),
                    part(arguments.one("--part").orElse("0/1")),
                    threads,
                    out::println);
        }
        return 0;
    }

    private static List<Metric> metrics(List<String> names) {
        return names.isEmpty()
                ? List.of(Metric.SemanticUnderstanding)
                : names.stream()
                        .distinct()
                        .map(name -> Arrays.stream(Metric.values())
                                .filter(metric -> metric.name().equals(name))
                                .findFirst()
                                .orElseThrow(() -> TrainerException.configuration(
                                        "--metric is '" + name + "'; one of " + Arrays.toString(Metric.values()))))
                        .toList();
    }

    private static DatasetScores.Part part(String text) {
        String[] numbers = text.split("/", -1);
        if (!text.matches("\\d{1,5}/\\d{1,5}") || Integer.parseInt(numbers[0]) >= Integer.parseInt(numbers[1])) {
            throw TrainerException.configuration(
                    "--part is '" + text + "'; write 0/4, 1/4, 2/4 and 3/4 for four processes");
        }
        return new DatasetScores.Part(Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1]));
    }
}
