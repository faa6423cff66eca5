package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * All weights of a model: trained ones end to end in one flat FLOAT32 buffer with their gradients in a second one of the same layout,
 * frozen ones in a third. Every parameter is a view. Neighbours may be used as one matrix (query, key and value; gate and up).
 *
 * <p>Layers may compute in BFLOAT16 ({@link #computeIn}): then they see rounded copies, and the buffers are the master weights.
 */
public final class Weights {
    /** The standard deviation that Qwen2 and SigLIP start from. */
    private static final double DEVIATION = 0.02;

    private record Place(Parameter parameter, boolean trained, long offset) {}

    private final Scope scope;
    private final List<Parameter> parameters;
    private final Map<String, Place> places = new LinkedHashMap<>();
    private Optional<Tensor> values;
    private final Tensor gradients;
    private final Tensor frozen;
    private final List<Use> uses = new ArrayList<>();
    private Optional<Tensor> rounded = Optional.empty();
    private DType computeType;

    /** What a layer was handed out. */
    private record Use(Tensor tensor, Place first, long count) {}

    Weights(Scope scope, List<Parameter> parameters, Set<Part> trained) {
        this(scope, parameters, trained, DType.FLOAT32);
    }

    /** @param stored BFLOAT16 for weights that only compute: no optimizer, no checkpoint */
    Weights(Scope scope, List<Parameter> parameters, Set<Part> trained, DType stored) {
        this.scope = scope;
        this.parameters = List.copyOf(parameters);
        long trainedCount = 0;
        long frozenCount = 0;
        for (Parameter parameter : parameters) {
            boolean isTrained = trained.contains(parameter.part());
            places.put(parameter.name(), new Place(parameter, isTrained, isTrained ? trainedCount : frozenCount));
            if (isTrained) {
                trainedCount += parameter.count();
            } else {
                frozenCount += parameter.count();
            }
        }
        computeType = stored;
        values = Optional.of(scope.zeros(stored, trainedCount));
        gradients = scope.zeros(DType.FLOAT32, trainedCount);
        frozen = scope.zeros(stored, frozenCount);
    }

    /** All parameters, in the order of the buffers. */
    public List<Parameter> parameters() {
        return parameters;
    }

    /** The trained parameters, in the order of the buffers. */
    public List<Parameter> trained() {
        return parameters.stream().filter(p -> places.get(p.name()).trained()).toList();
    }

    /**
     * Trained weights, flat; belongs to the model. With BFLOAT16 layers the master weights.
     *
     * @throws IllegalStateException after {@link #dropMasters}
     */
    public Tensor values() {
        return values.orElseThrow(() -> new IllegalStateException("the master weights are kept elsewhere, in shards"));
    }

    /** The trained weights that layers compute with, flat: {@link #values}, or rounded copies. */
    public Tensor replica() {
        return rounded.orElseGet(this::values);
    }

    /** Frees the master weights, where layers compute with rounded copies: somebody else keeps them, each worker its shard. */
    public void dropMasters() {
        if (rounded.isEmpty()) {
            throw new IllegalStateException("layers compute with the master weights themselves");
        }
        values().close();
        values = Optional.empty();
    }

    /**
     * Shows trained weights that were gathered from their shards, until {@link #takeBackMasters}.
     *
     * @param gathered FLOAT32, of the length of the flat buffers
     */
    public void lendMasters(Tensor gathered) {
        if (gathered.count() != gradients.count()) {
            throw new IllegalArgumentException(gathered.count() + " weights instead of " + gradients.count());
        }
        values = Optional.of(gathered);
    }

    /** The end of {@link #lendMasters}; what was lent stays open. */
    public void takeBackMasters() {
        values = Optional.empty();
    }

    /** Number of trained weights. */
    public long trainedCount() {
        return gradients.count();
    }

    /**
     * A stretch of the flat buffers.
     *
     * @param from first element
     * @param to element behind the last one
     */
    public record Range(long from, long to) {
        /** Number of elements. */
        public long count() {
            return to - from;
        }
    }

    /** Where the trained parameters lie whose names begin so; they are neighbours. Empty if there are none. */
    Range range(String prefix) {
        long from = -1;
        long to = -1;
        for (Parameter parameter : trained()) {
            if (parameter.name().startsWith(prefix)) {
                long offset = offset(parameter);
                if (from >= 0 && offset != to) {
                    throw new IllegalStateException(parameter.name() + " does not follow its neighbour");
                }
                from = from < 0 ? offset : from;
                to = offset + parameter.count();
            }
        }
        return from < 0 ? new Range(0, 0) : new Range(from, to);
    }

    /** Gradients of the trained weights, flat; added to by every backward until zeroed. */
    public Tensor gradients() {
        return gradients;
    }

    /** First element of a trained parameter in the flat buffers. */
    public long offset(Parameter parameter) {
        Place place = place(parameter.name());
        if (!place.trained()) {
            throw new IllegalArgumentException(
                    parameter.name() + " is frozen: it has no place among the trained weights");
        }
        return place.offset();
    }

    /** A view of a parameter, trained or frozen, in {@code scope}; writing to it changes the model. */
    public Tensor view(String name, Scope scope) {
        Place place = place(name);
        return view(
                scope,
                place.trained() ? values() : frozen,
                place.offset(),
                place.parameter().count(),
                place.parameter().sizes());
    }

    /** A view of a trained parameter's gradient, in {@code scope}. */
    public Tensor gradient(String name, Scope scope) {
        Place place = place(name);
        return view(
                scope,
                gradients,
                offset(place.parameter()),
                place.parameter().count(),
                place.parameter().sizes());
    }

    /** Stretches of the flat buffer with and without weight decay, ascending, neighbours of one kind joined. */
    public List<FusedAdamW.Span> decaySpans() {
        List<FusedAdamW.Span> spans = new ArrayList<>();
        for (Parameter parameter : trained()) {
            long from = offset(parameter);
            long to = from + parameter.count();
            if (!spans.isEmpty() && spans.getLast().decay() == parameter.decay()) {
                from = spans.removeLast().from();
            }
            spans.add(new FusedAdamW.Span(from, to, parameter.decay()));
        }
        return spans;
    }

    /** Element type that layers compute in. */
    public DType computeType() {
        return computeType;
    }

    /**
     * Makes layers compute in {@code type} from now on. For BFLOAT16 they get copies of all weights as these are now; after every change of
     * the trained ones {@link #updated} has to be called. Frozen weights may not change any more.
     */
    public void computeIn(DType type) {
        if (type == computeType) {
            return;
        }
        if (type != DType.BFLOAT16) {
            throw new IllegalArgumentException(
                    "layers compute in FLOAT32, or from a point on in BFLOAT16; not in " + type);
        }
        computeType = type;
        Tensor trainedCopy = scope.empty(type, gradients.count());
        Tensor frozenCopy = scope.empty(type, frozen.count());
        scope.ops().copyInto(frozenCopy, frozen);
        rounded = Optional.of(trainedCopy);
        updated();
        for (Use use : uses) {
            Tensor copy = use.first().trained() ? trainedCopy : frozenCopy;
            use.tensor()
                    .rebind(view(
                            scope,
                            copy,
                            use.first().offset(),
                            use.count(),
                            use.tensor().shape()));
        }
    }

    /** Fills all weights with values good enough to compute with: matrices and tables by a normal distribution, norms with 1. */
    void fillForTiming() {
        try (Scope local = scope.child()) {
            for (Parameter parameter : parameters) {
                Tensor view = view(parameter.name(), local);
                if (parameter.shape().size() > 1) {
                    local.ops().fillNormal(view, DEVIATION);
                } else if (parameter.name().contains("norm") && parameter.name().endsWith("weight")) {
                    local.ops().fill(view, 1);
                }
                view.close();
            }
        }
    }

    /** Has to be called whenever the trained weights have changed: nothing in libtorch notices an update in place. */
    public void updated() {
        rounded.ifPresent(copy -> scope.ops().copyInto(copy, values()));
    }

    /** The parameter as the layers use it: with a gradient if it is trained. */
    Tensor use(String name) {
        return use(place(name).parameter().sizes(), name);
    }

    /** Several neighbours in one, in this order and shape. */
    Tensor use(long[] shape, String... names) {
        Place first = place(names[0]);
        long end = first.offset();
        for (String name : names) {
            Place next = place(name);
            if (next.offset() != end || next.trained() != first.trained()) {
                throw new IllegalStateException(name + " does not follow its neighbour");
            }
            end += next.parameter().count();
        }
        long count = end - first.offset();
        Tensor tensor;
        if (first.trained()) {
            try (Scope local = scope.child()) {
                Tensor gradient = view(local, gradients, first.offset(), count, shape);
                tensor = scope.ops().leaf(view(local, values(), first.offset(), count, shape), gradient);
            }
        } else {
            tensor = view(scope, frozen, first.offset(), count, shape);
        }
        uses.add(new Use(tensor, first, count));
        return tensor;
    }

    private static Tensor view(Scope scope, Tensor flat, long offset, long count, long[] shape) {
        try (Scope local = scope.child()) {
            Ops ops = local.ops();
            return ops.view(ops.slice(flat, 0, offset, offset + count), shape).moveTo(scope);
        }
    }

    private Place place(String name) {
        Place place = places.get(name);
        if (place == null) {
            throw new IllegalArgumentException("the model has no parameter " + name);
        }
        return place;
    }
}
