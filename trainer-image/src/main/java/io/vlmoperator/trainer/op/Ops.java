package io.vlmoperator.trainer.op;

import static io.vlmoperator.trainer.op.Recorder.Cost.CHEAP;
import static io.vlmoperator.trainer.op.Recorder.Cost.PRODUCT;

import java.util.List;
import java.util.Optional;

/**
 * The operators, bound to the {@link Scope} that owns their results: memory, arithmetic and the layers here, the others by concern in
 * {@link #attention}, {@link #images} and {@link #head}. What each computes stands in {@code operators.torchscript}, its gradient
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

    /** Attention. */
    public Attention attention() {
        return new Attention(this);
    }

    /** Patches of images, their positions and pooling. */
    public Images images() {
        return new Images(this);
    }

    /** The head with its cross-entropy. */
    public Head head() {
        return new Head(this);
    }

    /** The scope that owns the results. */
    public Scope scope() {
        return scope;
    }

    /** An operator without a gradient. */
    Tensor tensor(String method, Object... arguments) {
        if (recorder.isPresent()) {
            for (Object argument : arguments) {
                if (argument instanceof Tensor tensor && recorder.get().tracks(tensor)) {
                    throw new IllegalStateException("operator " + method + " has no gradient");
                }
            }
        }
        return script(method, arguments);
    }

    /** Runs an operator, whatever its inputs. */
    Tensor script(String method, Object... arguments) {
        return Torch.start().script().tensor(scope, method, arguments);
    }

    /** The same of one that returns several tensors. */
    List<Tensor> scripts(String method, Object... arguments) {
        return Torch.start().script().tensors(scope, method, arguments);
    }

    /** The same of one that returns nothing. */
    static void run(String method, Object... arguments) {
        Torch.start().script().run(method, arguments);
    }

    /** The form of an operator that gives the same bits every time, where that is asked for. */
    static String inOrder(String method) {
        return Torch.start().exact() ? method + "_in_order" : method;
    }

    /** An operator with a gradient; see {@link Recorder#apply}. */
    Tensor differentiable(
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
}
