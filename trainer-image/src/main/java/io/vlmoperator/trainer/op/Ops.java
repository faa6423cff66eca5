package io.vlmoperator.trainer.op;

import static io.vlmoperator.trainer.op.Recorder.Cost.CHEAP;
import static io.vlmoperator.trainer.op.Recorder.Cost.PRODUCT;

import java.util.List;
import java.util.Optional;

/**
 * The operators, bound to the {@link Scope} that owns their results. What each computes stands in {@code operators.torchscript}, its gradient
 * beside it. Gradients are noted only inside a stage of a {@link Tape}, and only where an input has one. All of them accept FLOAT32; those
 * of the model also BFLOAT16: sums inside a norm, a softmax or a rotation are formed in float32 all the same.
 */
public final class Ops {
    private final Scope scope;
    private final Optional<Recorder> recorder;

    Ops(Scope scope, Optional<Recorder> recorder) {
        this.scope = scope;
        this.recorder = recorder;
    }

    /** The scope that owns the results. */
    public Scope scope() {
        return scope;
    }

    /** An operator without a gradient. */
    private Tensor tensor(String method, Object... arguments) {
        if (recorder.isPresent()) {
            for (Object argument : arguments) {
                if (argument instanceof Tensor tensor && recorder.get().tracks(tensor)) {
                    throw new IllegalStateException("operator " + method + " has no gradient");
                }
            }
        }
        return script(method, arguments);
    }

    private Tensor script(String method, Object... arguments) {
        return Torch.start().script().tensor(scope, method, arguments);
    }

    private List<Tensor> scripts(String method, Object... arguments) {
        return Torch.start().script().tensors(scope, method, arguments);
    }

    private static void run(String method, Object... arguments) {
        Torch.start().script().run(method, arguments);
    }

    /** The form of an operator that gives the same bits every time, where that is asked for. */
    private static String inOrder(String method) {
        return Torch.start().exact() ? method + "_in_order" : method;
    }

    /** An operator with a gradient; see {@link Recorder#apply}. */
    private Tensor differentiable(
            Recorder.Cost cost,
            List<Tensor> inputs,
            List<Tensor> needs,
            Recorder.Forward forward,
            Recorder.Backward backward) {
        return recorder.isPresent()
                ? recorder.get().apply(cost, inputs, needs, forward, backward)
                : first(forward.run(this, inputs));
    }

    /** The result of an operator whose gradient nobody will ask for. */
    static Tensor first(List<Tensor> results) {
        results.stream().skip(1).forEach(Tensor::close);
        return results.getFirst();
    }

    // --- memory
    // -------------------------------------------------------------------------------------------------------------------

    /** The tensor itself, or a copy whose elements lie one after the other. */
    public Tensor contiguous(Tensor x) {
        return tensor("contiguous", x);
    }

    /** The tensor itself where Java can read it in place, else a copy on the host. */
    public Tensor onHost(Tensor x) {
        return x.device().isHost() ? x : script("to_device", x, Device.HOST.toString());
    }

    /** Conversion to another element type; the tensor itself if it is of that type. */
    public Tensor cast(Tensor x, DType type) {
        DType before = x.dtype();
        if (before == type) {
            return x;
        }
        return differentiable(
                CHEAP,
                List.of(x),
                List.of(),
                (ops, in) -> List.of(ops.script("cast", in.get(0), type.code())),
                (to, gradient) -> to.add(x, to.ops().script("cast", gradient, before.code())));
    }

    /** Indices {@code from} (inclusive) to {@code to} (exclusive) of one dimension, sharing memory. */
    public Tensor slice(Tensor x, int dimension, long from, long to) {
        return tensor("slice", x, dimension, from, to);
    }

    /** The same elements in another shape, sharing memory. */
    public Tensor view(Tensor x, long... shape) {
        return tensor("view", x, shape);
    }

    /** The same memory, without a gradient. */
    public Tensor detach(Tensor x) {
        return script("detach", x);
    }

    /** A copy, without a gradient. */
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

    /** Sets every element. */
    public void fill(Tensor x, double value) {
        run("fill", x, value);
    }

    /** Draws every element from a normal distribution around 0, by libtorch's own generator. */
    public void fillNormal(Tensor x, double deviation) {
        run("fill_normal", x, deviation);
    }

    /** Multiplies every element in place. */
    public void scale(Tensor x, double factor) {
        run("scale", x, factor);
    }

    /** Adds in place, converting where needed. */
    public void addInto(Tensor sum, Tensor x) {
        run("add_into", sum, x);
    }

    /**
     * A tensor that shares memory with {@code values}; its gradient is added into {@code gradient}, which has the same shape and is FLOAT32,
     * by every backward.
     */
    public Tensor leaf(Tensor values, Tensor gradient) {
        try (Scope local = scope.child()) {
            // A handle of its own, so that neither can be closed under the other.
            Tensor sum = scope.ops().detach(gradient);
            Tensor alias = local.ops().detach(values);
            return scope.adopt(alias, sum);
        }
    }

    // --- arithmetic
    // ---------------------------------------------------------------------------------------------------------------

    /** Sum of two tensors of one shape. */
    public Tensor add(Tensor x, Tensor y) {
        return differentiable(
                PRODUCT,
                List.of(x, y),
                List.of(),
                (ops, in) -> List.of(ops.script("add", in.get(0), in.get(1))),
                (to, gradient) -> {
                    to.add(x, gradient);
                    to.add(y, gradient);
                });
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

    /** The same as one sum in float32, which over millions of elements is 1e-5 off: only to compare with results formed so. */
    public Tensor normInFloat32(Tensor x) {
        return tensor("norm_float32", x);
    }

    /** Index of the largest element of the last dimension, INT64; the first of equals. */
    public Tensor argMax(Tensor x) {
        return tensor("arg_max", x);
    }

    /** {@code x [.., in]} times {@code weight [out, in]} transposed. For a gradient {@code x} has two dimensions. */
    public Tensor linear(Tensor x, Tensor weight) {
        return differentiable(
                PRODUCT,
                List.of(x, weight),
                List.of(x, weight),
                (ops, in) -> List.of(ops.script("linear", in.get(0), in.get(1))),
                (to, gradient) -> linearGradients(to, gradient, x, weight));
    }

    /** {@code x [.., in]} times {@code weight [out, in]} transposed, plus {@code bias [out]}. */
    public Tensor linear(Tensor x, Tensor weight, Tensor bias) {
        return differentiable(
                PRODUCT,
                List.of(x, weight, bias),
                List.of(x, weight),
                (ops, in) -> List.of(ops.script("linear_bias", in.get(0), in.get(1), in.get(2))),
                (to, gradient) -> {
                    linearGradients(to, gradient, x, weight);
                    for (Tensor sum : to.sum(bias)) {
                        run("add_column_sums", sum, gradient);
                    }
                });
    }

    private static void linearGradients(Recorder.Gradients to, Tensor gradient, Tensor x, Tensor weight) {
        for (Tensor sum : to.sum(weight)) {
            run("add_product", sum, gradient, to.now(x));
        }
        if (to.wants(x)) {
            to.add(x, to.ops().script("product", gradient, to.now(weight)));
        }
    }

    /** Root-mean-square norm of the last dimension, times {@code weight}. */
    public Tensor rmsNorm(Tensor x, Tensor weight, double eps) {
        return differentiable(
                CHEAP,
                List.of(x, weight),
                List.of(x, weight),
                (ops, in) -> ops.scripts("rms_norm", in.get(0), in.get(1), eps),
                (to, gradient) -> to.add(
                        x,
                        to.ops()
                                .script(
                                        "rms_norm_backward",
                                        gradient,
                                        to.now(x),
                                        to.now(weight),
                                        to.extras().getFirst(),
                                        to.sum(weight))));
    }

    /** Layer norm of the last dimension. */
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, double eps) {
        return differentiable(
                CHEAP,
                List.of(x, weight, bias),
                List.of(x, weight, bias),
                (ops, in) -> ops.scripts("layer_norm", in.get(0), in.get(1), in.get(2), eps),
                (to, gradient) -> {
                    List<Tensor> extras = to.extras();
                    List<Tensor> all = to.ops()
                            .scripts(
                                    "layer_norm_backward",
                                    gradient,
                                    to.now(x),
                                    extras.get(0),
                                    extras.get(1),
                                    to.now(weight),
                                    to.now(bias));
                    to.add(x, all.get(0));
                    to.add(weight, all.get(1));
                    to.add(bias, all.get(2));
                });
    }

    /** GELU by the error function. */
    public Tensor gelu(Tensor x) {
        return gelu(x, "none");
    }

    /** GELU by its tanh approximation. */
    public Tensor geluTanh(Tensor x) {
        return gelu(x, "tanh");
    }

    private Tensor gelu(Tensor x, String approximate) {
        return differentiable(
                CHEAP,
                List.of(x),
                List.of(x),
                (ops, in) -> List.of(ops.script("gelu", in.get(0), approximate)),
                (to, gradient) -> to.add(x, to.ops().script("gelu_backward", gradient, to.now(x), approximate)));
    }

    /** SiLU of the first half of the last dimension times the second half. */
    public Tensor swiGlu(Tensor gateUp) {
        return differentiable(
                CHEAP,
                List.of(gateUp),
                List.of(gateUp),
                (ops, in) -> List.of(ops.script("swiglu", in.get(0))),
                (to, gradient) -> to.add(gateUp, to.ops().script("swiglu_backward", gradient, to.now(gateUp))));
    }

    /** Rows of {@code table [R, D]} by INT64 {@code index [T]}. */
    public Tensor rows(Tensor table, Tensor index) {
        return differentiable(
                CHEAP,
                List.of(table, index),
                List.of(index),
                (ops, in) -> List.of(ops.script("rows", in.get(0), in.get(1))),
                (to, gradient) -> {
                    for (Tensor sum : to.sum(table)) {
                        run(inOrder("add_rows"), sum, index, gradient);
                    }
                });
    }

    /** Rows of {@code first [A, D]} and {@code second [B, D]} laid end to end, by INT64 {@code index [T]} below A + B. */
    public Tensor rowsOfTwo(Tensor first, Tensor second, Tensor index) {
        int split = first.size(0);
        int end = split + second.size(0);
        return differentiable(
                CHEAP,
                List.of(first, second, index),
                List.of(index),
                (ops, in) -> List.of(ops.script("rows_of_two", in.get(0), in.get(1), in.get(2))),
                (to, gradient) -> {
                    Tensor both = to.ops().script(inOrder("rows_of_two_backward"), gradient, index, end);
                    to.add(first, to.ops().script("slice", both, 0, 0, split));
                    to.add(second, to.ops().script("slice", both, 0, split, end));
                });
    }

    // --- decoder attention
    // --------------------------------------------------------------------------------------------------------

    /** Causal attention inside each segment; {@code queryKeyValueTE} holds heads + 2 * keyValueHeads heads. Returns {@code [T, heads * headDim]}. */
    public Tensor segmentAttention(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        return scope.device().isHost()
                ? rectangleAttention(queryKeyValueTE, segments, heads, keyValueHeads)
                : rowAttention(queryKeyValueTE, segments, heads, keyValueHeads);
    }

    /** Over padded groups, by the CPU's flash attention. */
    private Tensor rectangleAttention(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        Segments.Rectangles layout = segments.rectangles();
        return differentiable(
                CHEAP,
                List.of(queryKeyValueTE),
                List.of(),
                (ops, in) -> ops.scripts(
                        "segment_attention",
                        in.get(0),
                        layout.cells(),
                        layout.cosines(),
                        layout.sines(),
                        layout.back(),
                        heads,
                        keyValueHeads),
                (to, gradient) -> to.add(
                        queryKeyValueTE,
                        to.ops()
                                .script(
                                        "segment_attention_backward",
                                        gradient,
                                        to.extras(),
                                        layout.cosines(),
                                        layout.sines(),
                                        layout.back(),
                                        heads,
                                        keyValueHeads)));
    }

    /** Over tokens as they lie: on a GPU in a narrow type by flash attention with cumulative lengths, else composed of products and softmax. */
    Tensor rowAttention(Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads) {
        Segments.Rows layout = segments.rows();
        Tensor cosines = layout.table().cosines();
        Tensor sines = layout.table().sines();
        return differentiable(
                CHEAP,
                List.of(queryKeyValueTE),
                List.of(),
                (ops, in) -> ops.scripts(
                        "row_attention",
                        in.get(0),
                        cosines,
                        sines,
                        layout.starts(),
                        layout.startsOnHost(),
                        segments.longest(),
                        heads,
                        keyValueHeads),
                (to, gradient) -> to.add(
                        queryKeyValueTE,
                        to.ops()
                                .script(
                                        "row_attention_backward",
                                        gradient,
                                        to.extras(),
                                        cosines,
                                        sines,
                                        layout.starts(),
                                        layout.startsOnHost(),
                                        segments.longest())));
    }

    /** Stores the keys and values of whole segments at positions 0, 1, ... of the cache; the segments must be one group in order. */
    public void fillCache(
            Tensor queryKeyValueTE, Segments segments, int heads, int keyValueHeads, Tensor keys, Tensor values) {
        Segments.Rectangles layout = segments.rectangles();
        run(
                "fill_cache",
                queryKeyValueTE,
                layout.index().getFirst(),
                layout.cosines().getFirst(),
                layout.sines().getFirst(),
                heads,
                keyValueHeads,
                keys,
                values);
    }

    /** What {@link #stepAttention} may see: in row s the positions 0 to {@code lengthS[s]} of {@code longest}. */
    public Tensor stepMask(Tensor lengthS, int longest) {
        return tensor("step_mask", lengthS, longest);
    }

    /**
     * Attention of one new token per row over the cache, to which it is added at position {@code lengthS} of its row.
     *
     * @param rowS 0, 1, ...
     * @param seen of {@link #stepMask}
     */
    public Tensor stepAttention(
            Tensor queryKeyValueSE,
            RotaryTable rotary,
            int heads,
            int keyValueHeads,
            Tensor keys,
            Tensor values,
            Tensor rowS,
            Tensor lengthS,
            Tensor seen) {
        return tensor(
                "step_attention",
                queryKeyValueSE,
                rotary.cosines(),
                rotary.sines(),
                heads,
                keyValueHeads,
                keys,
                values,
                rowS,
                lengthS,
                seen);
    }

    // --- vision
    // -------------------------------------------------------------------------------------------------------------------

    /** {@code [N, 3, H, W]} to rows of patches {@code [N * P, 3 * size * size]}; what is left at the right and bottom is not read. */
    public Tensor patches(Tensor pixelsNCHW, int size) {
        return tensor("patches", pixelsNCHW, size);
    }

    /** Adds {@code positionsPD} to each image's rows of {@code patchesRD}. */
    public Tensor addPositions(Tensor patchesRD, Tensor positionsPD) {
        return differentiable(
                CHEAP,
                List.of(patchesRD, positionsPD),
                List.of(),
                (ops, in) -> List.of(ops.script("add_positions", in.get(0), in.get(1))),
                (to, gradient) -> {
                    for (Tensor sum : to.sum(positionsPD)) {
                        run("add_position_sums", sum, gradient);
                    }
                    to.add(patchesRD, gradient);
                });
    }

    /** Attention of every patch to all patches of its image. */
    public Tensor imageAttention(Tensor queryKeyValueRE, int patches, int heads) {
        return imageAttention(
                queryKeyValueRE, patches, heads, scope.device().isHost() ? "image_attention" : "image_row_attention");
    }

    /** @param method {@code image_attention}, the CPU's flash attention, or {@code image_row_attention}, as {@link #rowAttention} */
    Tensor imageAttention(Tensor queryKeyValueRE, int patches, int heads, String method) {
        return differentiable(
                CHEAP,
                List.of(queryKeyValueRE),
                List.of(queryKeyValueRE),
                (ops, in) -> ops.scripts(method, in.get(0), patches, heads),
                (to, gradient) -> to.add(
                        queryKeyValueRE,
                        to.ops()
                                .script(
                                        method + "_backward",
                                        gradient,
                                        to.now(queryKeyValueRE),
                                        to.extras(),
                                        patches,
                                        heads)));
    }

    /** Adaptive average pooling of each image's {@code side * side} rows to {@code target * target}. */
    public Tensor averagePool(Tensor patchesRD, int side, int target) {
        return differentiable(
                CHEAP,
                List.of(patchesRD),
                List.of(),
                (ops, in) -> List.of(ops.script("average_pool", in.get(0), side, target)),
                (to, gradient) ->
                        to.add(patchesRD, to.ops().script(inOrder("average_pool_backward"), gradient, side, target)));
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
     * added into its {@link Tensor#gradient()}, if it has one. One chunk of logits exists at a time, and nothing of its size besides.
     */
    public HeadGradients headGradients(Tensor hiddenTD, Tensor weightVD, Tensor targetsT, double scale, int chunk) {
        List<Tensor> results = scripts(
                "head_gradients",
                hiddenTD,
                weightVD,
                weightVD.gradient().map(List::of).orElse(List.of()),
                targetsT,
                scale,
                chunk);
        return new HeadGradients(results.get(0), results.get(1));
    }
}
