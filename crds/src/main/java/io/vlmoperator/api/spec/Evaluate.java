package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** Scores every so many checkpoints by an EvalJob, whose results also stand in this job's status. */
public record Evaluate(
        @JsonPropertyDescription("Every so many checkpoints.") @Default("1") @Min(1) @Max(10_000)
        Integer everyCheckpoints,

        @JsonPropertyDescription("What they are scored on.") @Required @Size(min = 1, max = 32)
        List<Benchmark> benchmarks,

        @JsonPropertyDescription("How answers are generated.") @Default("{}")
        Generation generation) {
    public Evaluate {
        everyCheckpoints = Defaults.or(everyCheckpoints, 1);
        benchmarks = Defaults.copy(benchmarks);
        generation = Defaults.or(generation, new Generation(null));
    }
}
