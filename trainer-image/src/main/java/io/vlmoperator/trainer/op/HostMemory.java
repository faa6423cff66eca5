package io.vlmoperator.trainer.op;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A tensor's elements in the machine's memory, row-major: the tensor's own memory where that is on the host, else a copy of it, which is read
 * from the device when this is opened and written back when it is closed. Every copy waits for the device, so none of this belongs into
 * a step.
 */
public final class HostMemory implements AutoCloseable {
    /** What the memory is wanted for. */
    public enum Access {
        /** The elements as they are. */
        READ,
        /** All elements will be overwritten. */
        WRITE
    }

    private final Tensor tensor;
    private final Access access;
    private final Arena arena;
    private final MemorySegment segment;
    private boolean closed;

    private HostMemory(Tensor tensor, Access access, Arena arena, MemorySegment segment) {
        this.tensor = tensor;
        this.access = access;
        this.arena = arena;
        this.segment = segment;
    }

    /** @throws TorchException if the elements do not lie one after the other */
    static HostMemory of(Tensor tensor, Access access) {
        if (access == Access.READ) {
            Torch.start().readByHost();
        }
        if (tensor.device().isHost()) {
            return new HostMemory(tensor, access, Arena.global(), tensor.data());
        }
        tensor.requireContiguous();
        long bytes = tensor.bytes();
        @SuppressWarnings("MustBeClosedChecker") // closed in close()
        Arena arena = Arena.ofShared();
        HostMemory memory = new HostMemory(tensor, access, arena, arena.allocate(bytes, 64));
        if (access == Access.READ) {
            try {
                memory.copy(true);
            } catch (RuntimeException e) {
                arena.close();
                throw e;
            }
        }
        return memory;
    }

    /** The elements; valid until this is closed, in any thread. */
    public MemorySegment segment() {
        return segment;
    }

    private void copy(boolean toHost) {
        if (segment.byteSize() == 0) {
            return;
        }
        try (Scope local = Scope.onHost()) {
            Tensor here = local.over(segment, tensor.dtype(), tensor.shape());
            Torch.start().script().run("copy_into", toHost ? here : tensor, toHost ? tensor : here);
        }
    }

    /** Ends the access; on another device than the host what was written goes there now. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (tensor.device().isHost()) {
            return;
        }
        try {
            if (access == Access.WRITE) {
                copy(false);
            }
        } finally {
            arena.close();
        }
    }
}
