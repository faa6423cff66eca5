package io.vlmoperator.trainer.op;

import ai.djl.pytorch.jni.JniUtils;
import java.util.List;

/**
 * The operators, bound to the {@link Scope} that owns their results. What each computes stands in {@code operators.torchscript}. Gradients
 * are recorded only inside a stage of a {@link Tape}. All of them accept FLOAT32; {@link #linear}, {@link #add}, norms and activations also
 * BFLOAT16.
 */
public final class Ops {
    private final Scope scope;

    Ops(Scope scope) {
        this.scope = scope;
    }

    /** The scope that owns the results. */
    public Scope scope() {
        return scope;
    }

    private Tensor tensor(String method, Object... arguments) {
        return Torch.start().script().tensor(scope, method, arguments);
    }

    private static void run(String method, Object... arguments) {
        Torch.start().script().run(method, arguments);
    }

    // --- memory
    // -------------------------------------------------------------------------------------------------------------------

    /** The tensor itself, or a copy whose elements lie one after the other. */
    public Tensor contiguous(Tensor x) {
        return tensor("contiguous", x);
    }

    /** Differentiable conversion to another element type. */
    public Tensor cast(Tensor x, DType type) {
        return tensor("cast", x, type.code());
    }

    /** Indices {@code from} (inclusive) to {@code to} (exclusive) of one dimension, sharing memory. */
    public Tensor slice(Tensor x, int dimension, long from, long to) {
        return tensor("slice", x, dimension, from, to);
    }

    /** The same elements in another shape, sharing memory. */
    public Tensor view(Tensor x, long... shape) {
        return tensor("view", x, shape);
    }

    /** The same memory outside the graph of gradients. */
    public Tensor detach(Tensor x) {
        return scope.own(JniUtils.detachGradient(x.array()));
    }

    /** A copy outside the graph of gradients. */
    public Tensor copy(Tensor x) {
        Tensor result = scope.empty(x.dtype(), x.shape());
        copyInto(result, x);
        return result;
    }

    /** Overwrites {@code target}, converting and broadcasting where needed. */
    public void copyInto(Tensor target, Tensor source) {
        run("copy_into", target, source);
    }

    /** Sets every element to 0. */
    public void zero(Tensor x) {
        run("zero", x);
    }

    /** Multiplies every element in place. */
    public void scale(Tensor x, double factor) {
        run("scale", x, factor);
    }

    /**
     * A leaf of the graph that shares memory with {@code values}; its gradient is added into {@code gradient}, which has the same shape,
     * by every backward.
     */
    public Tensor leaf(Tensor values, Tensor gradient) {
        Tensor leaf = detach(values);
        JniUtils.attachGradient(leaf.array(), true);
        Torch.start().natives().setGradient(leaf.handle(), gradient.handle());
        return leaf;
    }

    // --- arithmetic
    // ---------------------------------------------------------------------------------------------------------------

    /** Sum of two tensors of one shape. */
    public Tensor add(Tensor x, Tensor y) {
        return tensor("add", x, y);
    }

    /** A new tensor, every element multiplied. */
    public Tensor multiply(Tensor x, double factor) {
        return tensor("multiply", x, factor);
    }

    /** Sum of all elements, a scalar. */
    public Tensor sum(Tensor x) {
        return tensor("sum", x);
    }

    /** Euclidean norm over all elements, a scalar. */
    public Tensor norm(Tensor x) {
        return tensor("norm", x);
    }

    /** Index of the largest element of the last dimension, INT64; the first of equals. */
    public Tensor argMax(Tensor x) {
        return tensor("arg_max", x);
    }

    /** {@code x [.., in]} times {@code weight [out, in]} transposed. */
    public Tensor linear(Tensor x, Tensor weight) {
        return tensor("linear", x, weight);
    }

    /** {@code x [.., in]} times {@code weight [out, in]} transposed, plus {@code bias [out]}. */
    public Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        return tensor("linear_bias", x, weight, bias);
    }

    /** Root-mean-square norm of the last dimension, times {@code weight}. */
    public Tensor rmsNorm(Tensor x, Tensor weight, double eps) {
        return tensor("rms_norm", x, weight, eps);
    }

    /** Layer norm of the last dimension. */
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, double eps) {
        return tensor("layer_norm", x, weight, bias, eps);
    }

    /** GELU by the error function. */
    public Tensor gelu(Tensor x) {
        return tensor("gelu", x, "none");
    }

    /** GELU by its tanh approximation. */
    public Tensor geluTanh(Tensor x) {
        return tensor("gelu", x, "tanh");
    }

    /** SiLU of the first half of the last dimension times the second half. */
    public Tensor swiGlu(Tensor gateUp) {
        return tensor("swiglu", gateUp);
    }

    /** Rows of {@code table [R, D]} by INT64 {@code index [T]}. */
    public Tensor rows(Tensor table, Tensor index) {
        return tensor("rows", table, index);
    }

    /** Rows of {@code first [A, D]} and {@code second [B, D]} laid end to end, by INT64 {@code index [T]} below A + B. */
    public Tensor rowsOfTwo(Tensor first, Tensor second, Tensor index) {
        return tensor("rows_of_two", first, second, index);
    }

    // --- decoder attention
    // --------------------------------------------------------------------------------------------------------

    /** Causal attention inside each segment; {@code queryKeyValueTE} holds heads + 2 * keyValueHeads heads. Returns {@code [T, heads * headDim]}. */
    public Tensor segmentAttention(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        return tensor(
                "segment_attention",
                queryKeyValueTE,
                segments.index(),
                segments.cosines(),
                segments.sines(),
                segments.back(),
                heads,
                keyValueHeads);
    }

    /** Stores the keys and values of whole segments at positions 0, 1, ... of the cache; the segments must be one group in order. */
    public void fillCache(
            Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads, Tensor keys, Tensor values) {
        run(
                "fill_cache",
                queryKeyValueTE,
                segments.rectangle(),
                segments.cosines().getFirst(),
                segments.sines().getFirst(),
                heads,
                keyValueHeads,
                keys,
                values);
    }

    /**
     * Attention of one new token per row over the cache, to which it is added at position {@code lengthS} of its row.
     *
     * @param longest number of cache positions to look at, above every length
     */
    public Tensor stepAttention(
            Tensor queryKeyValueSE,
            RotaryTable rotary,
            int heads,
            int keyValueHeads,
            Tensor keys,
            Tensor values,
            Tensor lengthS,
            int longest) {
        return tensor(
                "step_attention",
                queryKeyValueSE,
                rotary.cosines(),
                rotary.sines(),
                heads,
                keyValueHeads,
                keys,
                values,
                lengthS,
                longest);
    }

    // --- vision
    // -------------------------------------------------------------------------------------------------------------------

    /** {@code [N, 3, H, W]} to rows of patches {@code [N * P, 3 * size * size]}; what is left at the right and bottom is not read. */
    public Tensor patches(Tensor pixelsNCHW, int size) {
        return tensor("patches", pixelsNCHW, size);
    }

    /** Adds {@code positionsPD} to each image's rows of {@code patchesRD}. */
    public Tensor addPositions(Tensor patchesRD, Tensor positionsPD) {
        return tensor("add_positions", patchesRD, positionsPD);
    }

    /** Attention of every patch to all patches of its image. */
    public Tensor imageAttention(Tensor queryKeyValueRE, int patches, int heads) {
        return tensor("image_attention", queryKeyValueRE, patches, heads);
    }

    /** Adaptive average pooling of each image's {@code side * side} rows to {@code target * target}. */
    public Tensor averagePool(Tensor patchesRD, int side, int target) {
        return tensor("average_pool", patchesRD, side, target);
    }

    // --- head
    // ---------------------------------------------------------------------------------------------------------------------

    /** Sum of the cross-entropies of {@code targetsT}, a scalar; logits are formed {@code chunk} rows at a time. */
    public Tensor headLoss(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, int chunk) {
        return tensor("head_loss", hiddenTD, weightVD, targetsT, chunk);
    }

    /** Log probability of each target. */
    public Tensor headLogProbabilities(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, int chunk) {
        return tensor("head_log_probabilities", hiddenTD, weightVD, targetsT, chunk);
    }

    /** Result of {@link #headGradients}. */
    public record HeadGradients(Tensor lossSum, Tensor hiddenGradientTD) {}

    /**
     * The sum of cross-entropies and {@code scale} times its gradients: the one of the hidden states is returned, the one of the weight is
     * added into {@code weightGradient} (an empty list leaves it out).
     */
    public HeadGradients headGradients(
            Tensor hiddenTD, Tensor weightVD, List<Tensor> weightGradient, Tensor targetsT, double scale, int chunk) {
        List<Tensor> results = Torch.start()
                .script()
                .tensors(scope, "head_gradients", hiddenTD, weightVD, weightGradient, targetsT, scale, chunk);
        return new HeadGradients(results.get(0), results.get(1));
    }
}
