package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.ValidationRule;

/** The learning rate over the run, and its end. */
public record Schedule(
        @JsonPropertyDescription(
                "Share of the steps with a linear rise; the very first step has rate 0 when it is not 0.")
        @Default("0.03")
        @Min(0)
        @Max(1)
        Double warmupRatio,

        @JsonPropertyDescription("The fall after the warm-up.") @Default("Cosine")
        Decay decay,

        @JsonPropertyDescription("The end: exactly one of epochs, steps and tokens.") @Default("{\"epochs\": 1}")
        StopAfter stopAfter) {
    public static final Schedule DEFAULT = new Schedule(null, null, null);

    public Schedule {
        warmupRatio = Defaults.or(warmupRatio, 0.03);
        decay = Defaults.or(decay, Decay.Cosine);
        stopAfter = Defaults.or(stopAfter, new StopAfter(1, null, null));
    }

    /** The fall after the warm-up. */
    public enum Decay {
        Cosine,
        Linear,
        Constant
    }

    /** Exactly one is set. */
    @ValidationRule(
            value = "[has(self.epochs), has(self.steps), has(self.tokens)].filter(x, x).size() == 1",
            message = Messages.STOP_AFTER)
    public record StopAfter(
            @JsonPropertyDescription("Passes over the data.") @Min(1) @Max(100_000)
            Integer epochs,

            @JsonPropertyDescription("Optimizer steps.") @Min(1) @Max(100_000_000)
            Integer steps,

            @JsonPropertyDescription("Tokens, visual and text.") @Min(1) @Max(9_007_199_254_740_991d)
            Long tokens) {}
}
