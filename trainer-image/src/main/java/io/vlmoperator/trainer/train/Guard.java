package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Looks at the loss and the gradient's norm of each step before the optimizer uses them ({@code failure.nonFinite},
 * {@code failure.lossSpike}). Both numbers are the same bits on all ranks, so all ranks decide alike without a word; what was decided is
 * part of every manifest, so a resumed run decides as the undisturbed one would.
 *
 * <p>A skipped step keeps its number, its place in the learning-rate schedule and its batch: batch k stays the batch of step k whatever
 * was skipped before. The optimizer's bias correction counts updates, not steps.
 */
final class Guard {
    /** What becomes of a step. */
    sealed interface Verdict {
        /** @param spike what to say of a loss that was let through all the same */
        record Update(Optional<String> spike) implements Verdict {}

        /** Nothing is updated. */
        record Skip(Cause cause, String why) implements Verdict {}

        /** Weights and moments are to go back to the newest checkpoint, and the run goes on behind this step. */
        record Rewind(String what) implements Verdict {}
    }

    /** Why a step was left out. */
    enum Cause {
        NonFinite,
        LossSpike
    }

    private static final Verdict PLAIN = new Verdict.Update(Optional.empty());

    /** Of the mean: a window of equal losses is not deviated from by a rounding error. */
    private static final double LEAST_DEVIATION = 1e-6;

    private final Failure.NonFinite nonFinite;
    private final Optional<Failure.LossSpike> spike;
    private final Deque<Double> window = new ArrayDeque<>();
    private List<Manifest.Range> skipped;
    private int nonFinites;
    private int spikes;

    /** @param saved of the checkpoint that the run goes on from */
    Guard(Failure failure, Optional<Manifest.Guarded> saved) {
        this.nonFinite = Optional.ofNullable(failure.nonFinite()).orElse(Failure.NonFinite.DEFAULT);
        this.spike = Optional.ofNullable(failure.lossSpike());
        Manifest.Guarded from = saved.orElse(Manifest.Guarded.NOTHING);
        skipped = from.skipped();
        nonFinites = from.nonFinites();
        spikes = from.spikes();
        remember(from.losses());
    }

    private void remember(List<Double> losses) {
        window.clear();
        losses.forEach(this::add);
    }

    private void add(double loss) {
        int most = spike.map(Failure.LossSpike::window).orElse(0);
        window.addLast(loss);
        while (window.size() > most) {
            window.removeFirst();
        }
    }

    /**
     * Judges a step and counts it.
     *
     * @param step this step's number, from 1
     * @param loss of the global batch
     * @param norm of its gradient, over all ranks
     * @throws TrainerException NonFinite where the rule is to stop, or its bound is reached
     */
    Verdict judge(long step, double loss, double norm) {
        if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
            return notFinite("step " + step + ": loss " + loss + ", gradient norm " + norm, step);
        }
        Optional<String> high = spike.flatMap(rule -> high(rule, step, loss));
        add(loss);
        if (high.isEmpty()) {
            return PLAIN;
        }
        Failure.LossSpike rule = spike.orElseThrow();
        if (rule.action() == Failure.LossSpike.Action.Report) {
            return new Verdict.Update(Optional.of(high.get() + "; the step counts"));
        }
        if (spikes >= rule.atMost()) {
            throw stop(high.get() + "; " + spikes + " steps were skipped before it, failure.lossSpike.atMost is "
                    + rule.atMost()
                    + "; the weights were not changed. Lower optimizer.learningRate or look at the data");
        }
        spikes++;
        skip(step, step);
        return new Verdict.Skip(Cause.LossSpike, high.get() + "; the step was skipped");
    }

    private Verdict notFinite(String what, long step) {
        if (nonFinite.action() == Failure.NonFinite.Action.Stop) {
            throw stop(what + "; the weights were not changed. Lower optimizer.learningRate or lengthen the warm-up");
        }
        if (nonFinites >= nonFinite.atMost()) {
            throw stop(what + "; " + nonFinites + " such steps came before it, failure.nonFinite.atMost is "
                    + nonFinite.atMost()
                    + "; the weights were not changed. Lower optimizer.learningRate or lengthen the warm-up");
        }
        if (nonFinite.action() == Failure.NonFinite.Action.Rewind) {
            nonFinites++;
            return new Verdict.Rewind(what);
        }
        nonFinites++;
        skip(step, step);
        return new Verdict.Skip(Cause.NonFinite, what + "; the step was skipped");
    }

    /** The end by exit code 80. */
    static TrainerException stop(String why) {
        return new TrainerException(ExitCode.NonFinite, why);
    }

    private Optional<String> high(Failure.LossSpike rule, long step, double loss) {
        int count = window.size();
        if (count < Math.max(2, rule.window() / 2)) {
            return Optional.empty();
        }
        double mean = 0;
        for (double one : window) {
            mean += one / count;
        }
        double variance = 0;
        for (double one : window) {
            variance += (one - mean) * (one - mean) / count;
        }
        double deviation = Math.max(Math.sqrt(variance), LEAST_DEVIATION * Math.abs(mean));
        double score = deviation == 0 ? 0 : (loss - mean) / deviation;
        return score < rule.zScore()
                ? Optional.empty()
                : Optional.of(String.format(
                        Locale.ROOT,
                        "step %d: loss %.4f is %.1f standard deviations above the mean %.4f of %d steps",
                        step,
                        loss,
                        score,
                        mean,
                        count));
    }

    private void skip(long from, long to) {
        List<Manifest.Range> all = new ArrayList<>(skipped);
        if (!all.isEmpty() && all.getLast().to() == from - 1) {
            all.set(all.size() - 1, new Manifest.Range(all.getLast().from(), to));
        } else {
            all.add(new Manifest.Range(from, to));
        }
        skipped = List.copyOf(all);
    }

    /**
     * The run is back at a checkpoint and goes on behind a step: what lies between is left out. How often that happened is remembered
     * beyond the checkpoint, or the bound would never be reached.
     *
     * @param checkpoint it is back at
     * @param saved what was known there
     * @param step the one that could not be used
     */
    void rewound(long checkpoint, Optional<Manifest.Guarded> saved, long step) {
        Manifest.Guarded then = saved.orElse(Manifest.Guarded.NOTHING);
        skipped = then.skipped();
        remember(then.losses());
        skip(checkpoint + 1, step);
    }

    /** Steps left out so far. */
    long skippedSteps() {
        return skipped.stream()
                .mapToLong(range -> range.to() - range.from() + 1)
                .sum();
    }

    /** For the manifest; empty where there is nothing to tell. */
    Optional<Manifest.Guarded> state() {
        Manifest.Guarded state = new Manifest.Guarded(nonFinites, spikes, skipped, List.copyOf(window));
        return state.equals(Manifest.Guarded.NOTHING) ? Optional.empty() : Optional.of(state);
    }
}
