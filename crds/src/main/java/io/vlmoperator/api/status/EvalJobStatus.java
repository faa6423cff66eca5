package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** Status of an EvalJob. */
public record EvalJobStatus(
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

        @JsonPropertyDescription("What is scored, as KIND/NAME@STEP, a location or a url.") @Size(max = Limits.LOCATION)
        String checkpoint,

        @JsonPropertyDescription("The best scores in one line, such as: emoji-names 64.1 % (OptionLikelihood).")
        @Size(max = Limits.SUMMARY)
        String summary,

        @JsonPropertyDescription("The newest report of a run.")
        Progress progress,

        @JsonPropertyDescription("The scores.") @Size(max = Limits.RESULTS)
        List<BenchmarkResult> results,

        @JsonPropertyDescription("Starts of the workers, at most the last ten.") @Size(max = Limits.ATTEMPTS)
        List<Attempt> attempts,

        @JsonPropertyDescription("What was used of the budgets.")
        TrainingStatus.Restarts restarts,

        @JsonPropertyDescription("What is true of the resource.") @Size(max = Limits.CONDITIONS)
        List<Condition> conditions) {}
