package io.vlmoperator.trainer.op;

import java.util.ArrayList;
import java.util.List;

/**
 * AdamW with decoupled weight decay on a flat buffer, or on a part of it: one fused kernel for the decayed spans, one for the others.
 * Moments are flat FLOAT32 buffers over the same range, so a shard of a checkpoint is three contiguous pieces of memory.
 */
public final class FusedAdamW {
    /** A stretch of the flat buffer that is decayed or not. */
    public record Span(long from, long to, boolean decay) {}

    /**
     * The optimizer's constants.
     *
     * @param weightDecay of decayed spans, times the learning rate
     */
    public record Settings(double beta1, double beta2, double eps, double weightDecay) {}

    private final Scope scope;
    private final Settings settings;
    private final long from;
    private final Tensor firstMoment;
    private final Tensor secondMoment;
    private final Tensor step;
    private final Group decayed;
    private final Group others;

    private record Group(
            List<Tensor> values, List<Tensor> gradients, List<Tensor> first, List<Tensor> second, List<Tensor> steps) {}

    /**
     * @param scope owns moments and views; must outlive the optimizer
     * @param values flat FLOAT32 weights
     * @param gradients flat FLOAT32 gradients, same length
     * @param spans of the whole buffer, ascending
     * @param from first element this optimizer updates
     * @param to element behind the last one
     */
    public FusedAdamW(
            Scope scope, Settings settings, Tensor values, Tensor gradients, List<Span> spans, long from, long to) {
        if (from < 0 || to < from || to > values.count() || values.count() != gradients.count()) {
            throw new IllegalArgumentException("range " + from + ".." + to + " of " + values.count() + " weights and "
                    + gradients.count() + " gradients");
        }
        this.scope = scope;
        this.settings = settings;
        this.from = from;
        firstMoment = scope.zeros(DType.FLOAT32, to - from);
        secondMoment = scope.zeros(DType.FLOAT32, to - from);
        step = scope.zeros(DType.FLOAT32);
        decayed = group(values, gradients, spans, to, true);
        others = group(values, gradients, spans, to, false);
    }

    private Group group(Tensor values, Tensor gradients, List<Span> spans, long to, boolean decay) {
        Group group = new Group(
                new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        Ops ops = scope.ops();
        for (Span span : spans) {
            long first = Math.max(span.from(), from);
            long end = Math.min(span.to(), to);
            if (span.decay() == decay && first < end) {
                group.values().add(ops.slice(values, 0, first, end));
                group.gradients().add(ops.slice(gradients, 0, first, end));
                group.first().add(ops.slice(firstMoment, 0, first - from, end - from));
                group.second().add(ops.slice(secondMoment, 0, first - from, end - from));
                group.steps().add(step);
            }
        }
        return group;
    }

    /**
     * One update, if the norm is finite; else nothing changes. The gradients are divided by the clip divisor first (and stay so).
     *
     * @param learningRate of this update
     * @param number of this update, from 1 on (bias correction)
     * @param norm global gradient norm, a scalar: over all parameters and workers
     * @param clip largest norm let through; gradients are multiplied by {@code min(1, clip / (norm + 1e-6))}. Infinity: no clipping
     */
    public void update(double learningRate, long number, Tensor norm, double clip) {
        if (number < 1 || !(clip > 0)) {
            throw new IllegalArgumentException(
                    "update " + number + " with clip " + clip + ": updates count from 1, clip is above 0");
        }
        scope.ops().fill(step, number);
        try (Scope local = scope.child()) {
            Script script = Torch.start().script();
            Tensor divisor = script.tensor(local, "clip_divisor", norm, clip);
            Tensor skip = script.tensor(local, "not_finite", norm);
            update(script, decayed, learningRate, settings.weightDecay(), divisor, skip);
            update(script, others, learningRate, 0, divisor, skip);
        }
    }

    private void update(Script script, Group group, double learningRate, double decay, Tensor divisor, Tensor skip) {
        if (!group.values().isEmpty()) {
            script.run(
                    "adamw",
                    group.values(),
                    group.gradients(),
                    group.first(),
                    group.second(),
                    group.steps(),
                    learningRate,
                    settings.beta1(),
                    settings.beta2(),
                    decay,
                    settings.eps(),
                    divisor,
                    skip);
        }
    }

    /** First moments of the range, flat. */
    public Tensor firstMoment() {
        return firstMoment;
    }

    /** Second moments of the range, flat. */
    public Tensor secondMoment() {
        return secondMoment;
    }
}
