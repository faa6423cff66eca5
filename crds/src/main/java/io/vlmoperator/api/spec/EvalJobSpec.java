package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** Scores a checkpoint on benchmarks. */
@ValidationRule(
        value = "!has(self.failure.nonFinite) && !has(self.failure.lossSpike)",
        message = Messages.GUARDS,
        fieldPath = ".failure")
public record EvalJobSpec(
        @JsonPropertyDescription("What is scored: exactly one of pretrainJob, sftJob, location and endpoint.") @Required
        Checkpoint checkpoint,

        @JsonPropertyDescription("What it is scored on.") @Required @Size(min = 1, max = 32)
        List<Benchmark> benchmarks,

        @JsonPropertyDescription("How answers are generated.") @Default("{}")
        Generation generation,

        @JsonPropertyDescription("The pods that do the work. May be changed; counts from the next attempt on.")
        @Default("{}")
        Workers workers,

        @JsonPropertyDescription("The run folder: predictions and scores.") @Required
        JobOutput output,

        @JsonPropertyDescription("Restarts and deadlines. May be changed.") @Default("{}")
        Failure failure,

        @JsonPropertyDescription("true stops the work and keeps what is done; false goes on. May be changed.")
        @Default("false")
        Boolean suspend,

        @JsonPropertyDescription(
                "The resource is deleted so many seconds after it ended; files in storage stay. Missing: never. May be changed.")
        @Min(0)
        @Max(Integer.MAX_VALUE)
        Integer ttlSecondsAfterFinished) {
    public EvalJobSpec {
        benchmarks = Defaults.copy(benchmarks);
        generation = Defaults.or(generation, new Generation(null));
        workers = Defaults.or(workers, Workers.DEFAULT);
        failure = Defaults.or(failure, Failure.DEFAULT);
        suspend = Defaults.or(suspend, false);
    }

    /** What is scored; exactly one is set. */
    @ValidationRule(
            value =
                    "[has(self.pretrainJob), has(self.sftJob), has(self.location), has(self.endpoint)].filter(x, x).size() == 1",
            message = Messages.CHECKPOINT_FORM)
    public record Checkpoint(
            @JsonPropertyDescription("A checkpoint of a PretrainJob in the same namespace.")
            CheckpointRef pretrainJob,

            @JsonPropertyDescription("A checkpoint of an SFTJob in the same namespace.")
            CheckpointRef sftJob,

            @JsonPropertyDescription("A checkpoint folder of this project.")
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location,

            @JsonPropertyDescription("Base url of a server that speaks OpenAI's API.")
            @Size(max = 1024)
            @Pattern(Patterns.URL)
            String endpoint) {}

    /** How an answer is asked for and scored. */
    public enum Protocol {
        /** Generated answer: a letter or exactly one option's text; the community's rules. */
        Strict,
        /** What the paper's harness did: lenient containment. */
        PaperCompatible,
        /** Each option's text scored by the model; the likeliest is the answer. */
        OptionLikelihood
    }
}
