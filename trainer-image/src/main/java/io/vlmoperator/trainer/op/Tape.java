package io.vlmoperator.trainer.op;

import ai.djl.pytorch.jni.JniUtils;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * The chain of stages (layers) of one forward pass, and its way back. Every stage has a graph of its own: the gradient at its output is
 * carried to its input explicitly. So memory between stages is ours to keep or to form again, and the gradients of a layer are complete as
 * soon as backward has passed it.
 */
public final class Tape {
    /** What a stage keeps until backward. */
    public enum Keep {
        /** Everything its graph needs. */
        ALL,
        /** Its input only; the stage runs a second time on the way back. */
        INPUT
    }

    /** One stage: reads its input, allocates in the scope of {@code ops}. */
    @FunctionalInterface
    public interface Stage {
        Tensor run(Ops ops, Tensor input);
    }

    private record Entry(Stage stage, Tensor input, Optional<Tensor> output, boolean inputTracked) {}

    private final Scope scope;
    private final Keep keep;
    private final Deque<Entry> entries = new ArrayDeque<>();

    /** An empty tape whose boundaries live in {@code scope}. */
    public Tape(Scope scope, Keep keep) {
        this.scope = scope;
        this.keep = keep;
    }

    /**
     * Runs a stage. It is recorded if {@code trainable}, or if an earlier one was; else it runs without a graph.
     *
     * @param input what the previous stage returned; before the first recorded stage any tensor
     */
    public Tensor apply(boolean trainable, Tensor input, Stage stage) {
        boolean inputTracked = !entries.isEmpty();
        if (!trainable && !inputTracked) {
            return inScope(stage, input);
        }
        Tensor leaf = scope.ops().detach(input);
        Optional<Tensor> output = Optional.empty();
        Tensor result;
        if (keep == Keep.ALL) {
            result = recorded(stage, leaf, inputTracked);
            output = Optional.of(result);
        } else {
            result = inScope(stage, leaf);
        }
        entries.push(new Entry(stage, leaf, output, inputTracked));
        return result;
    }

    /** Whether a stage has been recorded, so that {@link #backward} has something to do. */
    public boolean recorded() {
        return !entries.isEmpty();
    }

    /**
     * Goes back through all stages, adding gradients into the leaves, and empties the tape.
     *
     * @param gradient at the output of the last stage
     */
    public void backward(Tensor gradient) {
        Tensor current = gradient;
        while (!entries.isEmpty()) {
            Entry entry = entries.pop();
            Tensor output =
                    entry.output().orElseGet(() -> recorded(entry.stage(), entry.input(), entry.inputTracked()));
            JniUtils.backward(output.array(), current.array(), false, false);
            if (current != gradient) {
                current.close();
            }
            if (entry.inputTracked()) {
                current = scope.own(JniUtils.getGradient(entry.input().array()));
            }
            output.close();
            entry.input().close();
        }
    }

    private Tensor inScope(Stage stage, Tensor input) {
        try (Scope local = scope.child()) {
            return stage.run(local.ops(), input).moveTo(scope);
        }
    }

    private Tensor recorded(Stage stage, Tensor leaf, boolean inputTracked) {
        if (inputTracked) {
            JniUtils.attachGradient(leaf.array(), true);
        }
        JniUtils.setGradMode(true);
        try {
            return inScope(stage, leaf);
        } finally {
            JniUtils.setGradMode(false);
        }
    }
}
