package io.vlmoperator.trainer.op;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The operators of one stage, in the order in which they ran, with what each needs on the way back. Gradients flow through it in reverse;
 * an activation is freed as soon as the last operator that needs it has been passed. Belongs to one {@link Tape}.
 */
final class Recorder implements AutoCloseable {
    /** Runs an operator: its result first, then whatever else its gradient is formed from. All of it belongs to the scope of {@code ops}. */
    @FunctionalInterface
    interface Forward {
        /** @param inputs as they were given to {@link Recorder#apply}, or formed again */
        List<Tensor> run(Ops ops, List<Tensor> inputs);
    }

    /** Forms the gradients of an operator's inputs from that of its result. */
    @FunctionalInterface
    interface Backward {
        void run(Gradients to, Tensor gradient);
    }

    /** Which operators' results are freed after the stage and formed again on the way back. */
    enum Cost {
        /** A matrix product: worth its memory. */
        PRODUCT,
        /** Norms, activations, attention: little arithmetic for much memory. */
        CHEAP
    }

    private record Node(
            Cost cost,
            List<Tensor> inputs,
            List<Tensor> needs,
            List<Tensor> results,
            Forward forward,
            Backward backward) {}

    private final Scope scope;
    private final boolean dropCheap;
    private final Ops ops;
    private final List<Node> nodes = new ArrayList<>();
    private final Set<Tensor> tracked = identitySet();
    private final Map<Tensor, Node> producers = new IdentityHashMap<>();
    private final Map<Tensor, Tensor> again = new IdentityHashMap<>();
    private final Map<Tensor, Tensor> gradients = new IdentityHashMap<>();
    /** How many tensors share one gradient: a sum hands the same one to both its inputs. */
    private final Map<Tensor, Integer> holders = new IdentityHashMap<>();

    /**
     * @param parent owns what is kept
     * @param dropCheap whether results of cheap operators are freed after the stage
     */
    Recorder(Scope parent, boolean dropCheap) {
        scope = parent.child();
        this.dropCheap = dropCheap;
        ops = new Ops(scope, Optional.of(this));
    }

    private static <T> Set<T> identitySet() {
        return Collections.newSetFromMap(new IdentityHashMap<>());
    }

    /** Operators that are recorded here. */
    Ops ops() {
        return ops;
    }

    /** Makes the gradient of {@code tensor} a result of {@link #backward}. */
    void track(Tensor tensor) {
        tracked.add(tensor);
    }

    /** Whether a gradient is wanted for this tensor. */
    boolean tracks(Tensor tensor) {
        return tensor.gradient().isPresent() || tracked.contains(tensor);
    }

    /**
     * Runs an operator and notes it, if one of its inputs is tracked.
     *
     * @param needs the inputs that {@code backward} reads
     */
    Tensor apply(Cost cost, List<Tensor> inputs, List<Tensor> needs, Forward forward, Backward backward) {
        if (inputs.stream().noneMatch(this::tracks)) {
            return Ops.first(forward.run(scope.ops(), inputs));
        }
        List<Tensor> results = forward.run(scope.ops(), inputs);
        Node node = new Node(cost, inputs, needs, results, forward, backward);
        nodes.add(node);
        results.forEach(result -> producers.put(result, node));
        tracked.add(results.getFirst());
        return results.getFirst();
    }

    /** Frees what no gradient will need; the stage's result goes to the tape. */
    Tensor finish(Tensor result, Scope owner) {
        Set<Tensor> kept = identitySet();
        kept.add(result);
        for (Node node : nodes) {
            node.needs().forEach(tensor -> keep(tensor, kept));
            node.results().stream().skip(1).forEach(tensor -> keep(tensor, kept));
        }
        for (Node node : nodes) {
            node.results().stream().filter(tensor -> !kept.contains(tensor)).forEach(Tensor::close);
        }
        return result.scope() == scope ? result.moveTo(owner) : result;
    }

    private void keep(Tensor tensor, Set<Tensor> kept) {
        Node producer = producers.get(tensor);
        if (producer == null || !kept.add(tensor)) {
            return;
        }
        if (dropCheap && producer.cost() == Cost.CHEAP) {
            kept.remove(tensor);
            producer.inputs().forEach(input -> keep(input, kept));
        }
    }

    /**
     * Goes back through the operators.
     *
     * @param output of the stage
     * @param gradient at it; stays the caller's
     * @return the gradient of the tracked input, owned by {@code owner}; empty if none was tracked
     */
    Optional<Tensor> backward(Tensor output, Tensor gradient, Optional<Tensor> input, Scope owner) {
        gradients.put(output, gradient);
        holders.put(gradient, 2); // never written to, never freed: it is the caller's
        for (int i = nodes.size() - 1; i >= 0; i--) {
            Node node = nodes.get(i);
            Tensor at = gradients.remove(node.results().getFirst());
            if (at != null) {
                try (Scope local = scope.child()) {
                    node.backward().run(new Gradients(this, node.results(), local), at);
                }
                release(at);
            }
            for (Tensor result : node.results()) {
                Tensor formed = again.remove(result);
                if (formed != null) {
                    formed.close();
                }
                result.close();
            }
        }
        return input.map(tensor -> {
            Tensor found = gradients.remove(tensor);
            if (found == null) {
                return owner.zeros(tensor.dtype(), tensor.shape());
            }
            return holders.getOrDefault(found, 1) > 1 || found.scope() != scope
                    ? owner.ops().copy(found)
                    : found.moveTo(owner);
        });
    }

    private void release(Tensor gradient) {
        if (holders.merge(gradient, -1, Integer::sum) <= 0) {
            holders.remove(gradient);
            gradient.close();
        }
    }

    /** The tensor itself, or what its operator gives when it is run again. */
    private Tensor now(Tensor tensor) {
        if (!tensor.isClosed()) {
            return tensor;
        }
        if (!again.containsKey(tensor)) {
            Node producer = producers.get(tensor);
            if (producer == null) {
                throw new IllegalStateException("a tensor that a gradient needs was closed: its scope has ended");
            }
            List<Tensor> inputs = producer.inputs().stream().map(this::now).toList();
            List<Tensor> results = producer.forward().run(scope.ops(), inputs);
            for (int i = 0; i < results.size(); i++) {
                again.put(producer.results().get(i), results.get(i));
            }
        }
        return again.get(tensor);
    }

    private void add(Tensor input, Tensor gradient) {
        Tensor known = gradients.get(input);
        if (known == null) {
            if (gradient.scope() != scope && !holders.containsKey(gradient)) {
                gradient.moveTo(scope);
            }
            gradients.put(input, gradient);
            holders.merge(gradient, 1, Integer::sum);
        } else if (holders.get(known) > 1) {
            Tensor sum = scope.ops().add(known, gradient);
            release(known);
            gradients.put(input, sum);
            holders.put(sum, 1);
        } else {
            scope.ops().addInto(known, gradient);
        }
    }

    @Override
    public void close() {
        scope.close();
    }

    /** What the gradient of one operator reads and where it puts its results. */
    static final class Gradients {
        private final Recorder recorder;
        private final List<Tensor> results;
        private final Scope local;

        private Gradients(Recorder recorder, List<Tensor> results, Scope local) {
            this.recorder = recorder;
            this.results = results;
            this.local = local;
        }

        /** Operators for what is needed during this call only. */
        Ops ops() {
            return local.ops();
        }

        /** An input or result, formed again if it was freed. */
        Tensor now(Tensor tensor) {
            return recorder.now(tensor);
        }

        /** The forward pass's results behind the first, formed again if they were freed. */
        List<Tensor> extras() {
            return results.stream().skip(1).map(recorder::now).toList();
        }

        /** Whether a gradient of {@code input} is wanted. */
        boolean wants(Tensor input) {
            return recorder.tracks(input);
        }

        /** Adds to the gradient of an input, if it is wanted. */
        void add(Tensor input, Tensor gradient) {
            input.gradient().ifPresentOrElse(sum -> local.ops().addInto(sum, gradient), () -> {
                if (wants(input)) {
                    recorder.add(input, gradient);
                }
            });
        }

        /** The tensor that the gradient of {@code input} has to be added into, if it is wanted: one element or none. */
        List<Tensor> sum(Tensor input) {
            if (!wants(input)) {
                return List.of();
            }
            return List.of(input.gradient().orElseGet(() -> {
                Tensor known = recorder.gradients.get(input);
                if (known == null || recorder.holders.get(known) > 1) {
                    Tensor sum = recorder.scope.zeros(input.dtype(), input.shape());
                    recorder.add(input, sum);
                    if (known != null) {
                        sum = recorder.gradients.get(input);
                    }
                    return sum;
                }
                return known;
            }));
        }
    }
}
