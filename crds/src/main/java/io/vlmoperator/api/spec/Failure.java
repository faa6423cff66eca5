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
        Integer gracePeriodSeconds,

        @JsonPropertyDescription(
                "PretrainJob, SFTJob: what follows a loss or a gradient that is infinite or not a number; the weights are never touched by it. Missing: Stop.")
        NonFinite nonFinite,

        @JsonPropertyDescription(
                "PretrainJob, SFTJob: what follows a loss far above those before it. Missing: nobody looks.")
        LossSpike lossSpike) {
    public static final Failure DEFAULT = new Failure(null, null, null, null, null, null, null, null);

    public Failure {
        maxRestarts = Defaults.or(maxRestarts, 3);
        maxInfrastructureRestarts = Defaults.or(maxInfrastructureRestarts, 50);
        startupDeadlineSeconds = Defaults.or(startupDeadlineSeconds, 1800);
        stepDeadlineSeconds = Defaults.or(stepDeadlineSeconds, 600);
        activeDeadlineSeconds = Defaults.or(activeDeadlineSeconds, 604_800);
        gracePeriodSeconds = Defaults.or(gracePeriodSeconds, 120);
    }

    /** Whether something is said that only training knows. */
    boolean trainingOnly() {
        return nonFinite != null || lossSpike != null;
    }

    /**
     * A loss or a gradient that is infinite or not a number. A skipped step keeps its number and its place in the learning-rate schedule,
     * and later batches stay those of their steps.
     */
    public record NonFinite(
            @JsonPropertyDescription(
                    "Stop: the attempt ends with exit code 80. Skip: the step updates nothing. Rewind: the weights and the optimizer go back to the newest checkpoint and all batches since then are left out.")
            @Default("Stop")
            Action action,

            @JsonPropertyDescription("So many times in a run at most; once more ends the attempt with exit code 80.")
            @Default("8")
            @Min(1)
            @Max(1000)
            Integer atMost) {
        public static final NonFinite DEFAULT = new NonFinite(null, null);

        public NonFinite {
            action = Defaults.or(action, Action.Stop);
            atMost = Defaults.or(atMost, 8);
        }

        /** What is done. */
        public enum Action {
            Stop,
            Skip,
            Rewind
        }
    }

    /** A loss that lies many standard deviations above the mean of the losses before it. */
    public record LossSpike(
            @JsonPropertyDescription(
                    "Losses of so many steps before it are compared with; nobody judges until there are half as many.")
            @Default("128")
            @Min(8)
            @Max(1024)
            Integer window,

            @JsonPropertyDescription("Standard deviations above the window's mean from which on a loss is a spike.")
            @Default("6")
            @Min(1)
            @Max(1000)
            Double zScore,

            @JsonPropertyDescription(
                    "Report: it stands in the status, and the step counts. Skip: the step updates nothing, too.")
            @Default("Report")
            Action action,

            @JsonPropertyDescription(
                    "So many steps of a run are skipped at most; once more ends the attempt with exit code 80.")
            @Default("8")
            @Min(1)
            @Max(1000)
            Integer atMost) {
        public LossSpike {
            window = Defaults.or(window, 128);
            zScore = Defaults.or(zScore, 6.0);
            action = Defaults.or(action, Action.Report);
            atMost = Defaults.or(atMost, 8);
        }

        /** What is done. */
        public enum Action {
            Report,
            Skip
        }
    }
}
