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
import java.util.Set;

/**
 * All weights of a model: trained ones end to end in one flat FLOAT32 buffer with their gradients in a second one of the same layout,
 * frozen ones in a third. Every parameter is a view. Neighbours may be used as one matrix (query, key and value; gate and up).
 */
public final class Weights {
    private record Place(Parameter parameter, boolean trained, long offset) {}

    private final Scope scope;
    private final List<Parameter> parameters;
    private final Map<String, Place> places = new LinkedHashMap<>();
    private final Tensor values;
    private final Tensor gradients;
    private final Tensor frozen;

    Weights(Scope scope, List<Parameter> parameters, Set<Part> trained) {
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
        values = scope.zeros(DType.FLOAT32, trainedCount);
        gradients = scope.zeros(DType.FLOAT32, trainedCount);
        frozen = scope.zeros(DType.FLOAT32, frozenCount);
    }

    /** All parameters, in the order of the buffers. */
    public List<Parameter> parameters() {
        return parameters;
    }

    /** The trained parameters, in the order of the buffers. */
    public List<Parameter> trained() {
        return parameters.stream().filter(p -> places.get(p.name()).trained()).toList();
    }

    /** Trained weights, flat; belongs to the model. */
    public Tensor values() {
        return values;
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
                place.trained() ? values : frozen,
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

    boolean isTrained(String name) {
        return place(name).trained();
    }

    /** The parameter as the layers use it: part of the graph if it is trained. */
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
        if (!first.trained()) {
            return view(scope, frozen, first.offset(), count, shape);
        }
        try (Scope local = scope.child()) {
            Tensor gradient = view(local, gradients, first.offset(), count, shape);
            return scope.ops().leaf(view(local, values, first.offset(), count, shape), gradient);
        }
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
