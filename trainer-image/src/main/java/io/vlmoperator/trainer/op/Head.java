package io.vlmoperator.trainer.op;

import java.util.List;

/**
 * The language head with its cross-entropy: logits are formed some rows at a time and never kept. See {@link Ops#head}. Rows are [T, D], the
 * weight [V, D].
 */
public final class Head {
    private final Ops ops;

    Head(Ops ops) {
        this.ops = ops;
    }

    /** Sum of the cross-entropies of {@code targetsT}, a scalar; logits are formed {@code chunk} rows at a time. */
    public Tensor loss(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, int chunk) {
        return ops.tensor("head_loss", hiddenTD, weightVD, targetsT, chunk);
    }

    /** Log probability of each target. */
    public Tensor logProbabilities(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, int chunk) {
        return ops.tensor("head_log_probabilities", hiddenTD, weightVD, targetsT, chunk);
    }

    /** Result of {@link #gradients}. */
    public record Gradients(Tensor lossSum, Tensor hiddenGradientTD) {}

    /**
     * The sum of cross-entropies and {@code scale} times its gradients: the one of the hidden states is returned, the one of the weight is
     * added into its {@link Tensor#gradient()}, if it has one. One chunk of logits exists at a time, and nothing of its size besides.
     */
    public Gradients gradients(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, double scale, int chunk) {
        List<Tensor> results = ops.scripts(
                "head_gradients",
                hiddenTD,
                weightVD,
                weightVD.gradient().map(List::of).orElse(List.of()),
                targetsT,
                scale,
                chunk);
        return new Gradients(results.get(0), results.get(1));
    }
}
