package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** Status of a Dataset. */
public record DatasetStatus(
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

        @JsonPropertyDescription("The output folder that jobs read (index and plan).") @Size(max = Limits.LOCATION)
        String location,

        @JsonPropertyDescription("Samples that were kept.") Long samples,

        @JsonPropertyDescription("Images of these samples.") Long images,

        @JsonPropertyDescription("Tokens of these samples, visual and text.")
        Long tokens,

        @JsonPropertyDescription("Packed rows.") Long rows,

        @JsonPropertyDescription("Share of the rows' context that holds tokens, 0 to 1.")
        Double fill,

        @JsonPropertyDescription("Size of the data that was read.")
        Long bytes,

        @JsonPropertyDescription("Identifies the selected samples and the plan.") @Size(max = Limits.DIGEST)
        String digest,

        @JsonPropertyDescription("Identifies the tokenizer.") @Size(max = Limits.DIGEST)
        String tokenizerDigest,

        @JsonPropertyDescription("What each source gave.") @Size(max = Limits.SOURCES)
        List<SourceCount> sources,

        @JsonPropertyDescription("How many samples were refused, by reason.") @Size(max = Limits.REASONS)
        List<Rejected> rejected,

        @JsonPropertyDescription("The newest report of a run.")
        Progress progress,

        @JsonPropertyDescription("Starts of the workers, at most the last ten.") @Size(max = Limits.ATTEMPTS)
        List<Attempt> attempts,

        @JsonPropertyDescription("What was used of the budgets.")
        TrainingStatus.Restarts restarts,

        @JsonPropertyDescription("What is true of the resource.") @Size(max = Limits.CONDITIONS)
        List<Condition> conditions) {
    /** What one source gave. */
    public record SourceCount(
            @JsonPropertyDescription("Name of the source.") @Size(max = Limits.WORD)
            String name,

            @JsonPropertyDescription(
                    "Samples that were read, and complaints about shards: those that are refused, too.")
            Long samples,

            @JsonPropertyDescription("Images that were read.")
            Long images,

            @JsonPropertyDescription("Samples that were kept.")
            Long selected) {}

    /** How many samples were refused for a reason. */
    public record Rejected(
            @JsonPropertyDescription("Why.") @Size(max = Limits.WORD)
            String reason,

            @JsonPropertyDescription("How many.") Long count) {}
}
