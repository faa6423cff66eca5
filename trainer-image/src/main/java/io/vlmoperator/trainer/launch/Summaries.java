package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.TerminationMessage;
import java.util.List;
import java.util.Locale;

/** The last words of a stage for a table. */
final class Summaries {
    private Summaries() {}

    static List<String> lines(TerminationMessage words) {
        if (words.dataset() != null) {
            DatasetSummary d = words.dataset();
            return List.of(String.format(
                    Locale.ROOT,
                    "%d samples, %d images, %d tokens, %d rows%s",
                    number(d.samples()),
                    number(d.images()),
                    number(d.tokens()),
                    number(d.rows()),
                    d.fill() == null ? "" : String.format(Locale.ROOT, ", %.1f%% full", 100 * d.fill())));
        }
        if (!words.results().isEmpty()) {
            return words.results().stream().map(Results::line).toList();
        }
        if (words.checkpoint() != null && words.checkpoint().loss() != null) {
            return List.of(String.format(
                    Locale.ROOT,
                    "step %d, loss %.4f%s",
                    words.step(),
                    words.checkpoint().loss(),
                    words.export() == null ? "" : ", " + words.export().location()));
        }
        return List.of();
    }

    private static long number(Long value) {
        return value == null ? 0 : value;
    }
}
