package io.vlmoperator.api.status;

import java.util.List;

/**
 * One score.
 *
 * @param value 0 to 1
 * @param interval half width of the 95 % confidence interval
 * @param chance what guessing reaches
 * @param unparsed answers that no rule could read; they count as wrong
 * @param skipped rows that could not be asked
 * @param categories value by category, at most 16 in a status; all of them are in the result file
 */
public record BenchmarkResult(
        String benchmark,
        String split,
        String protocol,
        String metric,
        Double value,
        Double interval,
        Double chance,
        Long rows,
        Long unparsed,
        Long skipped,
        Long step,
        String checkpointDigest,
        String dataDigest,
        String promptDigest,
        Integer tokensPerImage,
        Double seconds,
        List<Category> categories) {

    /** One category's share. */
    public record Category(String name, Double value, Long rows) {}
}
