package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** AdamW with decoupled decay, on tensors of two or more dimensions that are no bias. */
public record Optimizer(
        @JsonPropertyDescription("Peak learning rate. Missing: 5e-5 for PretrainJob, 2e-5 for SFTJob.")
        @Min(value = 0, inclusive = false)
        @Max(10)
        Double learningRate,

        @JsonPropertyDescription(
                "Decoupled decay of tensors of two or more dimensions that are no bias. Missing: 0.01 for PretrainJob, 0.1 for SFTJob.")
        @Min(0)
        @Max(10)
        Double weightDecay,

        @JsonPropertyDescription("Decay of the first moment.")
        @Default("0.9")
        @Min(0)
        @Max(value = 1, inclusive = false)
        Double beta1,

        @JsonPropertyDescription("Decay of the second moment.")
        @Default("0.999")
        @Min(0)
        @Max(value = 1, inclusive = false)
        Double beta2,

        @JsonPropertyDescription("Added to the root of the second moment.")
        @Default("1.0E-8")
        @Min(value = 0, inclusive = false)
        @Max(1)
        Double epsilon,

        @JsonPropertyDescription("Largest global norm of the gradient.")
        @Default("1.0")
        @Min(value = 0, inclusive = false)
        @Max(1_000_000)
        Double gradientClip) {
    static final Optimizer UNSET = new Optimizer(null, null, null, null, null, null);

    public Optimizer {
        beta1 = Defaults.or(beta1, 0.9);
        beta2 = Defaults.or(beta2, 0.999);
        epsilon = Defaults.or(epsilon, 1e-8);
        gradientClip = Defaults.or(gradientClip, 1.0);
    }

    Optimizer or(double rate, double decay) {
        return new Optimizer(
                Defaults.or(learningRate, rate), Defaults.or(weightDecay, decay), beta1, beta2, epsilon, gradientClip);
    }
}
