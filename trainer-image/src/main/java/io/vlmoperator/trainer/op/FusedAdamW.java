package io.vlmoperator.trainer.op;

import java.util.ArrayList;
import java.util.List;

/**
 * AdamW with decoupled weight decay on a flat buffer, or on parts of it: one fused kernel for the decayed spans, one for the others.
 * Moments are flat FLOAT32 buffers in which the parts follow each other, so a shard of a checkpoint is pieces of contiguous memory.
 */
public final class FusedAdamW {
    /** A stretch of the flat buffer that is decayed or not. */
    public record Span(long from, long to, boolean decay) {}

    /**
     * A part of the flat buffer.
     *
     * @param from its first element
     * @param values FLOAT32 weights, flat
     * @param gradients FLOAT32, of the same length
     */
    public record Part(long from, Tensor values, Tensor gradients) {
        long count() {
            return values.count();
        }
    }

    /**
     * The optimizer's constants.
     *
     * @param weightDecay of decayed spans, times the learning rate
     */
    public record Settings(double beta1, double beta2, double eps, double weightDecay) {}

    private final Scope scope;
    private final Settings settings;
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
        this(scope, settings, List.of(part(scope, values, gradients, from, to)), spans);
    }

    /**
     * @param scope owns moments and views; must outlive the optimizer
     * @param parts that this optimizer updates, ascending
     * @param spans of the whole buffer, ascending
     */
    public FusedAdamW(Scope scope, Settings settings, List<Part> parts, List<Span> spans) {
        for (Part part : parts) {
            if (part.from() < 0 || part.count() != part.gradients().count()) {
                throw new IllegalArgumentException("a part from " + part.from() + " with " + part.count()
                        + " weights and " + part.gradients().count() + " gradients");
            }
        }
        this.scope = scope;
        this.settings = settings;
        long count = parts.stream().mapToLong(Part::count).sum();
        firstMoment = scope.zeros(DType.FLOAT32, count);
        secondMoment = scope.zeros(DType.FLOAT32, count);
        step = scope.zeros(DType.FLOAT32);
        decayed = group(parts, spans, true);
        others = group(parts, spans, false);
    }

    private static Part part(Scope scope, Tensor values, Tensor gradients, long from, long to) {
        if (from < 0 || to < from || to > values.count() || values.count() != gradients.count()) {
            throw new IllegalArgumentException("range " + from + ".." + to + " of " + values.count() + " weights and "
                    + gradients.count() + " gradients");
        }
        return new Part(
                from, scope.ops().slice(values, 0, from, to), scope.ops().slice(gradients, 0, from, to));
    }

    private Group group(List<Part> parts, List<Span> spans, boolean decay) {
        Group group = new Group(
                new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
        Ops ops = scope.ops();
        long before = 0;
        for (Part part : parts) {
            for (Span span : spans) {
                long first = Math.max(span.from() - part.from(), 0);
                long end = Math.min(span.to() - part.from(), part.count());
                if (span.decay() == decay && first < end) {
                    group.values().add(ops.slice(part.values(), 0, first, end));
                    group.gradients().add(ops.slice(part.gradients(), 0, first, end));
                    group.first().add(ops.slice(firstMoment, 0, before + first, before + end));
                    group.second().add(ops.slice(secondMoment, 0, before + first, before + end));
                    group.steps().add(step);
                }
            }
            before += part.count();
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

    /** First moments of the parts, one after the other. */
    public Tensor firstMoment() {
        return firstMoment;
    }

    /** Second moments of the parts, one after the other. */
    public Tensor secondMoment() {
        return secondMoment;
    }
}
