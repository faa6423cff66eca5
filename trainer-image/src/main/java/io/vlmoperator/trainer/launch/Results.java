package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.status.BenchmarkResult;
import java.util.List;
import java.util.Locale;

/** Scores in short. */
final class Results {
    private Results() {}

    static List<BenchmarkResult> withoutCategories(List<BenchmarkResult> results) {
        return results.stream()
                .map(r -> new BenchmarkResult(
                        r.benchmark(),
                        r.split(),
                        r.protocol(),
                        r.metric(),
                        r.value(),
                        r.interval(),
                        r.chance(),
                        r.rows(),
                        r.unparsed(),
                        r.skipped(),
                        r.step(),
                        r.checkpointDigest(),
                        r.dataDigest(),
                        r.promptDigest(),
                        r.tokensPerImage(),
                        r.seconds(),
                        List.of()))
                .toList();
    }

    static String line(BenchmarkResult r) {
        return String.format(
                Locale.ROOT,
                "%s %s %s %.1f%% (+-%.1f, chance %.1f%%, %d rows, %d unparsed)",
                r.benchmark(),
                r.protocol(),
                r.metric(),
                percent(r.value()),
                percent(r.interval()),
                percent(r.chance()),
                r.rows() == null ? 0 : r.rows(),
                r.unparsed() == null ? 0 : r.unparsed());
    }

    private static double percent(Double share) {
        return share == null ? 0 : 100 * share;
    }
}
