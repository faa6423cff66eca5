package io.vlmoperator.demo;

import io.vlmoperator.api.status.BenchmarkResult;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What the demo writes to result.json.
 *
 * @param seconds by phase, in the order they ran; resources run side by side where they can
 * @param tokensPerSecond by training job: visual and text tokens of the decoder over the job's running time
 * @param peakMemoryMiB resident set of the operator and of the largest trainer pod
 */
record Result(
        List<Score> scores,
        Map<String, Double> seconds,
        Map<String, Double> tokensPerSecond,
        Map<String, Long> peakMemoryMiB) {

    record Score(
            String benchmark,
            String protocol,
            String metric,
            Double value,
            Double interval,
            Double chance,
            Long rows,
            Long unparsed,
            Double seconds,
            List<BenchmarkResult.Category> categories) {
        static Score of(BenchmarkResult result) {
            return new Score(
                    result.benchmark(),
                    result.protocol(),
                    result.metric(),
                    result.value(),
                    result.interval(),
                    result.chance(),
                    result.rows(),
                    result.unparsed(),
                    result.seconds(),
                    result.categories());
        }
    }

    String table() {
        String head = String.format(
                Locale.ROOT,
                "  %-22s %-18s %8s %8s %8s %8s %9s %9s%n",
                "benchmark",
                "protocol",
                "score",
                "+-",
                "chance",
                "rows",
                "unparsed",
                "seconds");
        return head
                + scores.stream()
                        .map(score -> String.format(
                                Locale.ROOT,
                                "  %-22s %-18s %7.1f%% %7.1f%% %7.1f%% %8d %9d %9.1f",
                                score.benchmark(),
                                score.protocol(),
                                percent(score.value()),
                                percent(score.interval()),
                                percent(score.chance()),
                                score.rows(),
                                score.unparsed(),
                                score.seconds() == null ? 0.0 : score.seconds()))
                        .collect(Collectors.joining("\n"));
    }

    private static double percent(Double share) {
        return share == null ? Double.NaN : 100 * share;
    }
}
