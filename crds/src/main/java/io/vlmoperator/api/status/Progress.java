package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;

/** The newest report of a run. Written by its own field manager, at most every 15 seconds. */
public record Progress(
        @JsonPropertyDescription("Attempt that reports.") Integer attempt,

        @JsonPropertyDescription("Training: optimizer steps done.")
        Long step,

        @JsonPropertyDescription("Training: optimizer steps in all.")
        Long steps,

        @JsonPropertyDescription("Dataset: shards done; EvalJob: rows done.")
        Long done,

        @JsonPropertyDescription("Dataset: shards; EvalJob: rows.")
        Long total,

        @JsonPropertyDescription("Tokens so far, visual and text.")
        Long tokens,

        @JsonPropertyDescription("Training loss.") Double loss,

        @JsonPropertyDescription("Global norm of the gradient.")
        Double gradientNorm,

        @JsonPropertyDescription("Learning rate.") Double learningRate,

        @JsonPropertyDescription("Tokens per second over all workers.")
        Double tokensPerSecond,

        @JsonPropertyDescription("Model FLOPs utilisation, 0 to 1.")
        Double mfu,

        @JsonPropertyDescription("Share of the step spent waiting for data, 0 to 1.")
        Double dataWait,

        @JsonPropertyDescription(
                "Seconds until the end, by the present speed; of the download as long as one is going on.")
        Long etaSeconds,

        @JsonPropertyDescription("true: a number of the step was infinite or not a number.")
        Boolean nonFinite,

        @JsonPropertyDescription(
                "Steps whose batches were left out because of a loss or a gradient (failure.nonFinite, failure.lossSpike).")
        Long skippedSteps,

        @JsonPropertyDescription("What a person should look at: the attempt's newest warning.")
        @Size(max = Limits.SUMMARY)
        String warning,

        @JsonPropertyDescription("When it was reported (RFC 3339).") @Size(max = Limits.TIME)
        String updatedAt,

        @JsonPropertyDescription("Dataset: how far the download is; missing when nothing is being fetched.")
        FetchProgress fetch,

        @JsonPropertyDescription("The newest checkpoint, if a replica of the operator that does not lead heard of it.")
        Checkpoint checkpoint,

        @JsonPropertyDescription("Dataset: what is being done: fetch, index, score or pack.") @Size(max = Limits.WORD)
        String stage) {}
