package io.vlmoperator.trainer.op;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * The chain of stages (layers) of one forward pass, and its way back. The gradient at a stage's output is carried to its input explicitly;
 * inside a stage the operators' own gradients are used (see {@link Recorder}). So memory is ours to keep or to form again, and the gradients
 * of a layer are complete as soon as backward has passed it.
 */
public final class Tape {
    /** What a stage keeps until backward. */
    public enum Keep {
        /** Everything its gradients need. */
        ALL,
        /** Its input and the results of its matrix products; norms, activations and attention are formed again. */
        PRODUCTS,
        /** Its input only; the whole stage runs a second time on the way back. */
        INPUT
    }

    /** One stage: reads its input, allocates in the scope of {@code ops}. */
    @FunctionalInterface
    public interface Stage {
        Tensor run(Ops ops, Tensor input);
    }

    private record Recorded(Recorder recorder, Tensor output) {}

    private record Entry(Stage stage, Tensor input, Optional<Recorded> recorded, boolean inputTracked, Runnable left) {}

    private final Scope scope;
    private final Keep keep;
    private final Deque<Entry> entries = new ArrayDeque<>();
    private Optional<Tensor> unrecorded = Optional.empty();

    /** An empty tape whose boundaries live in {@code scope}. */
    public Tape(Scope scope, Keep keep) {
        this.scope = scope;
        this.keep = keep;
    }

    /**
     * Runs a stage. It is recorded if {@code trainable}, or if an earlier one was; else it runs without gradients.
     *
     * @param input what the previous stage returned, which belongs to the tape from now on; before the first stage any tensor
     */
    public Tensor apply(boolean trainable, Tensor input, Stage stage) {
        return apply(trainable, input, stage, () -> {});
    }

    /**
     * The same.
     *
     * @param left called when {@link #backward} has passed the stage, if it is recorded: its gradients are complete then
     */
    public Tensor apply(boolean trainable, Tensor input, Stage stage, Runnable left) {
        boolean inputTracked = !entries.isEmpty();
        if (!trainable && !inputTracked) {
            Tensor result = inScope(stage, input);
            // Nobody reads the result of a frozen layer but the next layer.
            unrecorded.filter(last -> last == input && last != result).ifPresent(Tensor::close);
            unrecorded = Optional.of(result);
            return result;
        }
        if (keep == Keep.INPUT) {
            Tensor result = inScope(stage, input);
            entries.push(new Entry(stage, input, Optional.empty(), inputTracked, left));
            return result;
        }
        Recorded recorded = record(stage, input, inputTracked);
        entries.push(new Entry(stage, input, Optional.of(recorded), inputTracked, left));
        return recorded.output();
    }

    /** Whether a stage has been recorded, so that {@link #backward} has something to do. */
    public boolean recorded() {
        return !entries.isEmpty();
    }

    /**
     * Goes back through all stages, adding gradients into the leaves, and empties the tape.
     *
     * @param gradient at the output of the last stage; stays the caller's
     */
    public void backward(Tensor gradient) {
        Tensor current = gradient;
        while (!entries.isEmpty()) {
            Entry entry = entries.pop();
            Recorded recorded =
                    entry.recorded().orElseGet(() -> record(entry.stage(), entry.input(), entry.inputTracked()));
            Optional<Tensor> next;
            try (Recorder recorder = recorded.recorder()) {
                next = recorder.backward(
                        recorded.output(),
                        current,
                        entry.inputTracked() ? Optional.of(entry.input()) : Optional.empty(),
                        scope);
            }
            entry.left().run();
            recorded.output().close();
            unrecorded.filter(last -> last == entry.input()).ifPresent(Tensor::close);
            if (current != gradient) {
                current.close();
            }
            if (next.isPresent()) {
                current = next.get();
            }
        }
    }

    private Tensor inScope(Stage stage, Tensor input) {
        try (Scope local = scope.child()) {
            Tensor result = stage.run(local.ops(), input);
            return result.scope() == local ? result.moveTo(scope) : result;
        }
    }

    private Recorded record(Stage stage, Tensor input, boolean inputTracked) {
        Recorder recorder = new Recorder(scope, keep == Keep.PRODUCTS);
        if (inputTracked) {
            recorder.track(input);
        }
        return new Recorded(recorder, recorder.finish(stage.run(recorder.ops(), input), scope));
    }
}
