package io.vlmoperator.trainer.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import ai.djl.pytorch.engine.PtNDArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;

/**
 * A tensor of libtorch, owned by one {@link Scope} and freed with it. Not thread-safe: a tensor and its scope belong to the thread that
 * uses them (memory handed out by {@link #data()} may be read and written from any thread).
 */
public final class Tensor implements AutoCloseable {
    private PtNDArray array;
    private final Optional<Tensor> gradient;
    private Scope owner;
    private Arena memory;
    private boolean closed;

    Tensor(Scope owner, PtNDArray array) {
        this(owner, array, Optional.empty());
    }

    /** A leaf: gradients are added into {@code gradient}. */
    Tensor(Scope owner, PtNDArray array, Optional<Tensor> gradient) {
        this.owner = owner;
        this.array = array;
        this.gradient = gradient;
    }

    /** Sizes of the dimensions, outermost first; empty for a scalar. */
    public long[] shape() {
        return array().getShape().getShape();
    }

    /** Number of dimensions. */
    public int rank() {
        return shape().length;
    }

    /** Size of one dimension; negative numbers count from the last. */
    public int size(int dimension) {
        long[] shape = shape();
        return Math.toIntExact(shape[dimension < 0 ? shape.length + dimension : dimension]);
    }

    /** Number of elements. */
    public long count() {
        return array().getShape().size();
    }

    /** Element type. */
    public DType dtype() {
        return Torch.start().natives().dtype(handle());
    }

    /** Where the elements lie. */
    public Device device() {
        return Torch.start().natives().device(handle());
    }

    /** Size of all elements in bytes. */
    public long bytes() {
        return Math.multiplyExact(count(), dtype().bytes());
    }

    /**
     * The elements themselves, without a copy, row-major. Valid until the tensor is closed; later access throws
     * {@link IllegalStateException}.
     *
     * @throws TorchException if the elements do not lie one after the other ({@link Ops#contiguous} makes a copy that does), or not on the
     *     host ({@link #host} copies them)
     */
    public MemorySegment data() {
        if (memory == null) {
            if (!device().isHost()) {
                throw new TorchException("a tensor of shape " + Arrays.toString(shape()) + " lies on " + device()
                        + ", where Java can't read it; take host() of it");
            }
            requireContiguous();
            memory = newArena();
        }
        long bytes = bytes();
        if (bytes == 0) {
            return MemorySegment.NULL;
        }
        return MemorySegment.ofAddress(Torch.start().natives().dataPointer(handle()))
                .reinterpret(bytes, memory, null);
    }

    void requireContiguous() {
        if (!Torch.start().isContiguous(this)) {
            throw new TorchException(
                    "a tensor of shape " + Arrays.toString(shape()) + " has gaps; take contiguous() of it first");
        }
    }

    /**
     * Address and size of the elements, on whatever device: for libraries that take device memory. Java may touch it only on the host. Valid
     * as long as the tensor.
     *
     * @throws TorchException if the elements do not lie one after the other
     */
    public MemorySegment address() {
        if (device().isHost()) {
            return data();
        }
        requireContiguous();
        return MemorySegment.ofAddress(Torch.start().natives().dataPointer(handle()))
                .reinterpret(bytes());
    }

    /**
     * The elements in host memory, wherever the tensor lies; on a GPU by a copy that waits for it.
     *
     * @throws TorchException if the elements do not lie one after the other
     */
    @SuppressWarnings("MustBeClosedChecker") // the caller's
    public HostMemory host(HostMemory.Access access) {
        return HostMemory.of(this, access);
    }

    @SuppressWarnings("MustBeClosedChecker") // closed in free()
    private static Arena newArena() {
        return Arena.ofShared();
    }

    /** The value of a one-element FLOAT32 tensor. On a GPU this waits until everything asked of it before is done. */
    public float item() {
        require(DType.FLOAT32);
        if (count() != 1) {
            throw new TorchException("item() of a tensor of shape " + Arrays.toString(shape()));
        }
        try (HostMemory host = host(HostMemory.Access.READ)) {
            return host.segment().get(JAVA_FLOAT, 0);
        }
    }

    /** A copy of a FLOAT32 tensor's elements. */
    public float[] floats() {
        require(DType.FLOAT32);
        try (HostMemory host = host(HostMemory.Access.READ)) {
            return host.segment().toArray(JAVA_FLOAT);
        }
    }

    /** A copy of an INT64 tensor's elements. */
    public long[] longs() {
        require(DType.INT64);
        try (HostMemory host = host(HostMemory.Access.READ)) {
            return host.segment().toArray(JAVA_LONG);
        }
    }

    /** A copy of an INT32 tensor's elements. */
    public int[] ints() {
        require(DType.INT32);
        try (HostMemory host = host(HostMemory.Access.READ)) {
            return host.segment().toArray(JAVA_INT);
        }
    }

    /** The scope that owns this tensor. */
    public Scope scope() {
        return owner;
    }

    /** Where backward adds the gradient of a leaf, FLOAT32 of the same shape; empty for every other tensor. */
    public Optional<Tensor> gradient() {
        return gradient;
    }

    /**
     * Makes this tensor the memory of another one of the same shape, whose handle is closed. Whoever holds this tensor, as a layer holds its
     * weights, computes with the new memory from then on.
     */
    public void rebind(Tensor other) {
        if (!Arrays.equals(shape(), other.shape())) {
            throw new IllegalArgumentException(this + " can't become " + other);
        }
        if (memory != null) {
            memory.close();
            memory = null;
        }
        array.close();
        array = other.giveUp();
    }

    /** The native handle, which the caller owns from now on; this tensor is closed. */
    PtNDArray giveUp() {
        PtNDArray given = array();
        owner.release(this);
        closed = true;
        if (memory != null) {
            memory.close();
        }
        Torch.start().counted(-1);
        return given;
    }

    boolean isClosed() {
        return closed;
    }

    /** Hands this tensor to another scope, which closes it from then on. Returns this. */
    public Tensor moveTo(Scope scope) {
        array();
        owner.release(this);
        scope.take(this);
        owner = scope;
        return this;
    }

    private void require(DType type) {
        if (dtype() != type) {
            throw new TorchException("a tensor of " + dtype() + " was read as " + type);
        }
    }

    PtNDArray array() {
        if (closed) {
            throw new IllegalStateException("the tensor is closed: its scope has ended");
        }
        return array;
    }

    long handle() {
        return array().getHandle();
    }

    /** Frees the handle now. The memory lives on while a view of it or an unfinished backward needs it. */
    @Override
    public void close() {
        if (!closed) {
            owner.release(this);
            free();
        }
    }

    /** Called by the owning scope, which forgets the tensor itself. */
    void free() {
        closed = true;
        if (memory != null) {
            memory.close();
        }
        array.close();
        Torch.start().counted(-1);
    }

    @Override
    public String toString() {
        return closed ? "closed tensor" : dtype() + Arrays.toString(shape());
    }
}
