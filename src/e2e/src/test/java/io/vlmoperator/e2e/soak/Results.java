package io.vlmoperator.e2e.soak;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** {@code results.jsonl}: a line for each repetition that is over. */
final class Results {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path file;

    Results(Path file) {
        this.file = file;
    }

    /**
     * @param outcome held, failed or skipped
     * @param load of the machine at the end, over one minute
     * @param facts what was done, or what did not hold
     */
    record Line(
            String scenario, long seed, String outcome, double seconds, String time, double load, List<String> facts) {}

    boolean has(String scenario, long seed) throws IOException {
        return lines().stream().anyMatch(line -> line.scenario().equals(scenario) && line.seed() == seed);
    }

    void add(Line line) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(
                file,
                JSON.writeValueAsString(line) + "\n",
                StandardCharsets.UTF_8,
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }

    List<Line> lines() throws IOException {
        List<Line> lines = new ArrayList<>();
        if (Files.exists(file)) {
            for (String text : Files.readAllLines(file)) {
                // A line that was broken off belongs to a repetition that is done again.
                if (text.endsWith("}")) {
                    lines.add(JSON.readValue(text, Line.class));
                }
            }
        }
        return lines;
    }

    /** As Markdown. */
    String table(Map<String, Scenario> scenarios) throws IOException {
        StringBuilder table = new StringBuilder(
                "| scenario | what must hold | repetitions | held | failed | skipped | seeds | seconds each | load |\n"
                        + "|---|---|---|---|---|---|---|---|---|\n");
        List<Line> all = lines();
        for (Scenario scenario : scenarios.values()) {
            List<Line> own = all.stream()
                    .filter(line -> line.scenario().equals(scenario.name()))
                    .toList();
            table.append(String.format(
                    Locale.ROOT,
                    "| `%s` | %s | %d | %d | %d | %d | %s | %s | %s |%n",
                    scenario.name(),
                    scenario.claim(),
                    own.size(),
                    count(own, "held"),
                    count(own, "failed"),
                    count(own, "skipped"),
                    own.stream().map(line -> Long.toString(line.seed())).collect(Collectors.joining(", ")),
                    range(own.stream().mapToDouble(Line::seconds).summaryStatistics()),
                    range(own.stream().mapToDouble(Line::load).summaryStatistics())));
        }
        return table.toString();
    }

    private static long count(List<Line> lines, String outcome) {
        return lines.stream().filter(line -> line.outcome().equals(outcome)).count();
    }

    private static String range(java.util.DoubleSummaryStatistics numbers) {
        return numbers.getCount() == 0
                ? "-"
                : String.format(Locale.ROOT, "%.0f to %.0f", numbers.getMin(), numbers.getMax());
    }
}
