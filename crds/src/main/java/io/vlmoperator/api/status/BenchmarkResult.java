package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** One score. */
public record BenchmarkResult(
        @JsonPropertyDescription("Name of the benchmark.") @Size(max = Limits.WORD)
        String benchmark,

        @JsonPropertyDescription("Its split.") @Size(max = Limits.WORD)
        String split,

        @JsonPropertyDescription("How answers were asked for and scored.") @Size(max = Limits.WORD)
        String protocol,

        @JsonPropertyDescription("What the value measures.") @Size(max = Limits.WORD)
        String metric,

        @JsonPropertyDescription("The score, 0 to 1.") Double value,

        @JsonPropertyDescription("Half width of the 95 % confidence interval.")
        Double interval,

        @JsonPropertyDescription("What guessing reaches.") Double chance,

        @JsonPropertyDescription("Rows that were asked.") Long rows,

        @JsonPropertyDescription("Answers that no rule could read; they count as wrong.")
        Long unparsed,

        @JsonPropertyDescription("Rows that could not be asked.")
        Long skipped,

        @JsonPropertyDescription("Step of the checkpoint.") Long step,

        @JsonPropertyDescription("Digest of the checkpoint.") @Size(max = Limits.DIGEST)
        String checkpointDigest,

        @JsonPropertyDescription("Digest of the benchmark.") @Size(max = Limits.DIGEST)
        String dataDigest,

        @JsonPropertyDescription("Digest of the prompts.") @Size(max = Limits.DIGEST)
        String promptDigest,

        @JsonPropertyDescription("Visual tokens of one image.")
        Integer tokensPerImage,

        @JsonPropertyDescription("Time spent, in seconds.") Double seconds,

        @JsonPropertyDescription("What demonstrations the value is the mean over; missing: there were none.")
        FewShot fewShot,

        @JsonPropertyDescription("Value by category, at most 16 in a status; all of them are in the result file.")
        @Size(max = Limits.CATEGORIES)
        List<Category> categories) {
    /** The same result with other categories. */
    public BenchmarkResult withCategories(List<Category> others) {
        return new BenchmarkResult(
                benchmark,
                split,
                protocol,
                metric,
                value,
                interval,
                chance,
                rows,
                unparsed,
                skipped,
                step,
                checkpointDigest,
                dataDigest,
                promptDigest,
                tokensPerImage,
                seconds,
                fewShot,
                others);
    }

    /** Demonstrations before each question: the value is the mean over the seeds that drew them. */
    public record FewShot(
            @JsonPropertyDescription("Demonstrations before each question.")
            Integer shots,

            @JsonPropertyDescription("Seeds, that is passes over the benchmark.")
            Integer seeds,

            @JsonPropertyDescription("Standard deviation of the value over the seeds; missing with one seed.")
            Double spread) {}

    /** One category's share. */
    public record Category(
            @JsonPropertyDescription("Name of the category.") @Size(max = Limits.WORD)
            String name,

            @JsonPropertyDescription("Its score, 0 to 1.") Double value,

            @JsonPropertyDescription("Its rows.") Long rows) {}
}
