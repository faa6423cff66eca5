package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.status.BenchmarkResult;
import java.util.List;
import java.util.Locale;

/** Scores in short. */
final class Results {
    private Results() {}

    static List<BenchmarkResult> withoutCategories(List<BenchmarkResult> results) {
        return results.stream().map(r -> r.withCategories(List.of())).toList();
    }

    static String line(BenchmarkResult r) {
        return String.format(
                Locale.ROOT,
                "%s %s %s %.1f%% (+-%.1f, chance %.1f%%, %d rows, %d unparsed%s)",
                r.benchmark(),
                r.protocol(),
                r.metric(),
                percent(r.value()),
                percent(r.interval()),
                percent(r.chance()),
                r.rows() == null ? 0 : r.rows(),
                r.unparsed() == null ? 0 : r.unparsed(),
                r.fewShot() == null ? "" : shots(r.fewShot()));
    }

    private static String shots(BenchmarkResult.FewShot fewShot) {
        String shots = ", %d shots, %d seeds".formatted(fewShot.shots(), fewShot.seeds());
        return fewShot.spread() == null
                ? shots
                : shots + String.format(Locale.ROOT, ", spread %.1f", percent(fewShot.spread()));
    }

    private static double percent(Double share) {
        return share == null ? 0 : 100 * share;
    }
}
