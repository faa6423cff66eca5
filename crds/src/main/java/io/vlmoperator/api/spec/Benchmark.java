package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** One benchmark and the protocols it is scored by. */
public record Benchmark(
        @JsonPropertyDescription("Names the benchmark in results; known names (MMBench, ...) bring rules of their own.")
        @Required
        @Size(min = 1, max = 63)
        @Pattern(Patterns.FREE_NAME)
        String name,

        @JsonPropertyDescription(
                "A table in VLMEvalKit's TSV layout, or a folder with one, and with train.tsv for demonstrations.")
        @Required
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String location,

        @JsonPropertyDescription("How answers are asked for and scored; each protocol gives a score of its own.")
        @Default("[\"Strict\"]")
        @Size(min = 1, max = 3)
        List<EvalJobSpec.Protocol> protocols,

        @JsonPropertyDescription("Demonstrations before each question.")
        FewShot fewShot) {
    public Benchmark {
        protocols = protocols == null ? List.of(EvalJobSpec.Protocol.Strict) : List.copyOf(protocols);
    }

    /** Demonstrations before each question; one pass per seed. */
    public record FewShot(
            @JsonPropertyDescription("Demonstrations before each question.") @Required @Min(1) @Max(64)
            Integer shots,

            @JsonPropertyDescription("One pass over the benchmark for each seed.")
            @Default("[1]")
            @Size(min = 1, max = 16)
            List<@Min(0) @Max(9_007_199_254_740_991d) Long> seeds,

            @JsonPropertyDescription(
                    "Train: rows whose split is train, or train.tsv in the benchmark's folder; they are not asked. Evaluated: the benchmark's own rows; those drawn are not asked in that pass.")
            @Default("Train")
            From from) {
        public FewShot {
            seeds = seeds == null ? List.of(1L) : List.copyOf(seeds);
            from = Defaults.or(from, From.Train);
        }

        /** The split that demonstrations are drawn from. */
        public enum From {
            /** Rows of the training split. */
            Train,
            /** Rows of the split that is scored, but for those that are shown. */
            Evaluated
        }
    }
}
