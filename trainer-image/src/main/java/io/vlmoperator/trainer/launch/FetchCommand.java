package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.api.spec.Problem;
import io.vlmoperator.api.spec.SpecChecks;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.fetch.Fetches;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** {@code vlm-trainer data fetch}: brings models and data into a folder. */
final class FetchCommand {
    private static final String USAGE =
            "write: data fetch TO (--repository NAME [--revision R] [--kind Model|Dataset] | --url URL --sha256 HEX [--name N] |"
                    + " --folder LOCATION) [--files PATTERN]...";

    private FetchCommand() {}

    static int run(List<String> words, Map<String, String> environment, PrintStream out) {
        Arguments arguments = Arguments.parse(
                words,
                List.of("--repository", "--revision", "--kind", "--url", "--sha256", "--name", "--folder"),
                List.of("--files", "--mount"));
        if (arguments.words().size() != 2) {
            throw TrainerException.configuration(USAGE);
        }
        Locations locations = Places.of(arguments, environment).locations();
        Fetch fetch = fetch(location(arguments.words().get(1)), arguments);
        List<Problem> problems = SpecChecks.check(fetch, SpecChecks.Where.LAPTOP);
        if (!problems.isEmpty()) {
            throw TrainerException.configuration(
                    problems.stream().map(Problem::toString).collect(Collectors.joining("; ")));
        }
        Fetches.of(locations, environment, line -> {
                    synchronized (out) {
                        out.println(line);
                    }
                })
                .bring(fetch);
        return 0;
    }

    private static String location(String text) {
        return text.contains("://") ? text : Locations.fileLocation(Path.of(text));
    }

    private static Fetch fetch(String to, Arguments arguments) {
        List<String> files = arguments.many("--files");
        Fetch.HuggingFace repository = arguments
                .one("--repository")
                .map(name -> new Fetch.HuggingFace(
                        name,
                        arguments.one("--revision").orElse(null),
                        arguments.one("--kind").map(FetchCommand::kind).orElse(null),
                        files))
                .orElse(null);
        List<Fetch.Url> urls = arguments
                .one("--url")
                .map(url -> List.of(new Fetch.Url(
                        url,
                        arguments
                                .one("--sha256")
                                .orElseThrow(() -> TrainerException.configuration(
                                        "option --sha256 is missing: what the file's content must come to")),
                        arguments.one("--name").orElse(null))))
                .orElse(null);
        Fetch.Folder folder = arguments
                .one("--folder")
                .map(from -> new Fetch.Folder(location(from), files))
                .orElse(null);
        long given = Arrays.asList(repository, urls, folder).stream()
                .filter(origin -> origin != null)
                .count();
        if (given != 1) {
            throw TrainerException.configuration(USAGE);
        }
        return new Fetch(to, repository, urls, folder);
    }

    private static Fetch.RepositoryKind kind(String name) {
        return Arrays.stream(Fetch.RepositoryKind.values())
                .filter(kind -> kind.name().equals(name))
                .findFirst()
                .orElseThrow(() -> TrainerException.configuration("--kind is Model or Dataset, not '" + name + "'"));
    }
}
