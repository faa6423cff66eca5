package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** When checkpoints are written (always at the end, too) and which are kept. */
@ValidationRule(value = "self.keep.every % self.everySteps == 0", message = Messages.KEEP_EVERY)
public record Checkpoints(
        @JsonPropertyDescription("A checkpoint is written every so many steps, and at the end.")
        @Default("500")
        @Min(1)
        @Max(10_000_000)
        Integer everySteps,

        @JsonPropertyDescription(
                "Which checkpoints are kept. One that something refers to is always kept. May be changed while the job runs.")
        @Default("{}")
        Keep keep) {
    public static final Checkpoints DEFAULT = new Checkpoints(null, null);

    public Checkpoints {
        everySteps = Defaults.or(everySteps, 500);
        keep = Defaults.or(keep, new Keep(null, null, null));
    }

    /** A checkpoint that something refers to is always kept. */
    public record Keep(
            @JsonPropertyDescription("The newest so many.") @Default("3") @Min(1) @Max(1000)
            Integer last,

            @JsonPropertyDescription("Each whose step is a multiple of it; 0: none.")
            @Default("0")
            @Min(0)
            @Max(100_000_000)
            Integer every,

            @JsonPropertyDescription("The best so many by a metric.")
            Best best) {
        public Keep {
            last = Defaults.or(last, 3);
            every = Defaults.or(every, 0);
        }
    }

    /** The best so many by a metric. */
    public record Best(
            @JsonPropertyDescription("How many.") @Default("1") @Min(1) @Max(100)
            Integer count,

            @JsonPropertyDescription("What they are compared by: exactly one of loss and benchmark.") @Required
            Metric metric) {
        public Best {
            count = Defaults.or(count, 1);
        }
    }

    /** Exactly one is set. */
    @ValidationRule(value = "has(self.loss) != has(self.benchmark)", message = Messages.METRIC_FORM)
    public record Metric(
            @JsonPropertyDescription("The training loss at the checkpoint; lower is better. Write loss: {}.")
            TrainingLoss loss,

            @JsonPropertyDescription("A score of evaluate; higher is better.")
            BenchmarkScore benchmark) {}

    /** The training loss at the checkpoint; lower is better. */
    public record TrainingLoss() {}

    /** A score of {@code evaluate}; higher is better. */
    public record BenchmarkScore(
            @JsonPropertyDescription("Name of a benchmark of evaluate.benchmarks.")
            @Required
            @Size(min = 1, max = 63)
            @Pattern(Patterns.FREE_NAME)
            String name,

            @JsonPropertyDescription("One of that benchmark's protocols.") @Default("Strict")
            EvalJobSpec.Protocol protocol) {
        public BenchmarkScore {
            protocol = Defaults.or(protocol, EvalJobSpec.Protocol.Strict);
        }
    }
}
