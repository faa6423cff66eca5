package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** What happens when an attempt fails, and how long each part of a run may take. Budgets refill after a new durable checkpoint. */
public record Failure(
        @JsonPropertyDescription("Restarts after errors of the program or the data; refilled by a new checkpoint.")
        @Default("3")
        @Min(0)
        @Max(10_000)
        Integer maxRestarts,

        @JsonPropertyDescription(
                "Restarts after lost nodes, evictions, killed pods and hangs; refilled by a new checkpoint.")
        @Default("50")
        @Min(0)
        @Max(10_000)
        Integer maxInfrastructureRestarts,

        @JsonPropertyDescription(
                "Seconds from the creation of an attempt's pods until its first report (queueing is not counted).")
        @Default("1800")
        @Min(1)
        @Max(31_536_000)
        Integer startupDeadlineSeconds,

        @JsonPropertyDescription("Longest silence between two reports of progress, in seconds.")
        @Default("600")
        @Min(1)
        @Max(31_536_000)
        Integer stepDeadlineSeconds,

        @JsonPropertyDescription("Seconds for the whole resource, from its start.")
        @Default("604800")
        @Min(1)
        @Max(315_360_000)
        Integer activeDeadlineSeconds,

        @JsonPropertyDescription("Seconds to save after SIGTERM.") @Default("120") @Min(1) @Max(86_400)
        Integer gracePeriodSeconds) {
    public static final Failure DEFAULT = new Failure(null, null, null, null, null, null);

    public Failure {
        maxRestarts = Defaults.or(maxRestarts, 3);
        maxInfrastructureRestarts = Defaults.or(maxInfrastructureRestarts, 50);
        startupDeadlineSeconds = Defaults.or(startupDeadlineSeconds, 1800);
        stepDeadlineSeconds = Defaults.or(stepDeadlineSeconds, 600);
        activeDeadlineSeconds = Defaults.or(activeDeadlineSeconds, 604_800);
        gracePeriodSeconds = Defaults.or(gracePeriodSeconds, 120);
    }
}
