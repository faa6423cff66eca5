package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** Status of a PretrainJob and of an SFTJob. */
public record TrainingStatus(
        @JsonPropertyDescription("One word for people; derived from the conditions.")
        Phase phase,

        @JsonPropertyDescription("What is wrong or waited for, as one word; missing when nothing is.")
        @Size(max = Limits.WORD)
        String reason,

        @JsonPropertyDescription("The same in words: what, where, what to do.") @Size(max = Limits.SUMMARY)
        String message,

        @JsonPropertyDescription("Generation of the spec that was acted on.")
        Long observedGeneration,

        @JsonPropertyDescription("When the first attempt started (RFC 3339).") @Size(max = Limits.TIME)
        String startedAt,

        @JsonPropertyDescription("When it was complete or failed (RFC 3339).") @Size(max = Limits.TIME)
        String finishedAt,

        @JsonPropertyDescription("The newest report of a run.")
        Progress progress,

        @JsonPropertyDescription("Complete checkpoints in storage.")
        Checkpoints checkpoints,

        @JsonPropertyDescription("Scores of evaluate.") @Size(max = Limits.RESULTS)
        List<BenchmarkResult> benchmarks,

        @JsonPropertyDescription("Starts of the workers, at most the last ten.") @Size(max = Limits.ATTEMPTS)
        List<Attempt> attempts,

        @JsonPropertyDescription("What was used of the budgets.")
        Restarts restarts,

        @JsonPropertyDescription("The model in a format that other programs open.")
        Export export,

        @JsonPropertyDescription("What is true of the resource.") @Size(max = Limits.CONDITIONS)
        List<Condition> conditions) {
    /** What was used of the budgets since the last new checkpoint, and in all. */
    public record Restarts(
            @JsonPropertyDescription("Of failure.maxRestarts, since the last new checkpoint.")
            Integer user,

            @JsonPropertyDescription("Of failure.maxInfrastructureRestarts, since the last new checkpoint.")
            Integer infrastructure,

            @JsonPropertyDescription("In all.") Integer total) {}
}
