package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Scope;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Parameters of a model to be overwritten on the host; they are in the model when this has been closed. */
public final class HostWeights implements AutoCloseable {
    private final Weights weights;
    private final Scope scope;
    private final List<HostMemory> open = new ArrayList<>();

    /** @param scope owns the views; must outlive this */
    public HostWeights(Weights weights, Scope scope) {
        this.weights = weights;
        this.scope = scope;
    }

    /** Memory for all elements of a parameter, which must be filled. */
    @SuppressWarnings("MustBeClosedChecker") // closed in close()
    public MemorySegment write(String parameter) {
        HostMemory memory = weights.view(parameter, scope).host(HostMemory.Access.WRITE);
        open.add(memory);
        return memory.segment();
    }

    @Override
    public void close() {
        open.forEach(HostMemory::close);
        open.clear();
    }
}
