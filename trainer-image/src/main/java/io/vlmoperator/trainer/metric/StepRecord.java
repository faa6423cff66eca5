package io.vlmoperator.trainer.metric;

import java.util.Locale;

/**
 * One optimizer step in numbers.
 *
 * @param step completed steps, this one included
 * @param loss of the global batch
 * @param gradientNorm before clipping
 * @param tokens of the run so far, visual and text, padding none
 * @param tokensPerSecond of this step, all workers
 * @param mfu share of the measured peak, 0 to 1
 * @param dataWait share of the step spent waiting for data, 0 to 1
 * @param seconds of the step
 * @param memoryMiB resident memory of this process
 * @param skipped why the step updated nothing; null for one that did
 * @param rewoundTo step of the checkpoint that the weights went back to; null where they did not
 */
public record StepRecord(
        long step,
        long steps,
        double loss,
        double gradientNorm,
        double learningRate,
        long tokens,
        double tokensPerSecond,
        double mfu,
        double dataWait,
        double seconds,
        long etaSeconds,
        long memoryMiB,
        String skipped,
        Long rewoundTo) {

    /** The line that a person reads. */
    public String line() {
        return String.format(
                Locale.ROOT,
                "step %d/%d  loss %.4f  norm %.3f  lr %.2e  %,.0f tok/s  mfu %.1f%%  data wait %.1f%%  %d MiB  eta %s%s",
                step,
                steps,
                loss,
                gradientNorm,
                learningRate,
                tokensPerSecond,
                100 * mfu,
                100 * dataWait,
                memoryMiB,
                duration(etaSeconds),
                rewoundTo != null ? "  rewound to " + rewoundTo : skipped != null ? "  skipped" : "");
    }

    static String duration(long seconds) {
        return seconds >= 3600
                ? "%dh%02dm".formatted(seconds / 3600, seconds / 60 % 60)
                : seconds >= 60 ? "%dm%02ds".formatted(seconds / 60, seconds % 60) : seconds + "s";
    }
}
