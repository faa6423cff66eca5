package io.vlmoperator.trainer.op;

import ai.djl.pytorch.engine.PtNDArray;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Optional;
import java.util.Set;

/**
 * Owner of tensors: closing a scope frees everything made in it and in its children. A training step opens one scope, so a step leaves
 * nothing behind; what must outlive it is handed on with {@link Tensor#moveTo}. Belongs to one thread.
 */
public final class Scope implements AutoCloseable {
    private final Scope parent;
    private final Set<Tensor> tensors = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Set<Scope> children = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Ops ops = new Ops(this, Optional.empty());
    private boolean closed;

    private Scope(Scope parent) {
        this.parent = parent;
    }

    /** A scope of its own. Starts libtorch if that has not happened yet. */
    public static Scope open() {
        Torch.start();
        return new Scope(null);
    }

    /** A scope inside this one, closed with it at the latest. */
    public Scope child() {
        requireOpen();
        Scope child = new Scope(this);
        children.add(child);
        return child;
    }

    /** The operators whose results this scope owns. */
    public Ops ops() {
        return ops;
    }

    /** A tensor with undefined content. */
    public Tensor empty(DType type, long... shape) {
        for (long size : shape) {
            if (size < 0) {
                throw new IllegalArgumentException("negative size in shape " + Arrays.toString(shape));
            }
        }
        Torch torch = Torch.start();
        return own(new PtNDArray(torch.manager(), torch.natives().empty(type, shape)));
    }

    /** A tensor of zeros. */
    public Tensor zeros(DType type, long... shape) {
        Tensor tensor = empty(type, shape);
        tensor.data().fill((byte) 0);
        return tensor;
    }

    /** A FLOAT32 tensor with a copy of these values; without a shape it has one dimension. */
    public Tensor floats(float[] values, long... shape) {
        return copy(
                MemorySegment.ofArray(values), DType.FLOAT32, shape.length == 0 ? new long[] {values.length} : shape);
    }

    /** An INT64 tensor with a copy of these values; without a shape it has one dimension. */
    public Tensor longs(long[] values, long... shape) {
        return copy(MemorySegment.ofArray(values), DType.INT64, shape.length == 0 ? new long[] {values.length} : shape);
    }

    /** An INT64 tensor (libtorch's index type) of these values. */
    public Tensor indices(int[] values) {
        Tensor tensor = empty(DType.INT64, values.length);
        MemorySegment data = tensor.data();
        for (int i = 0; i < values.length; i++) {
            data.setAtIndex(ValueLayout.JAVA_LONG, i, values[i]);
        }
        return tensor;
    }

    /** A FLOAT32 scalar. */
    public Tensor scalar(float value) {
        Tensor tensor = empty(DType.FLOAT32);
        tensor.data().set(ValueLayout.JAVA_FLOAT, 0, value);
        return tensor;
    }

    /** A tensor with a copy of row-major memory whose size must be that of the shape. */
    public Tensor copy(MemorySegment values, DType type, long... shape) {
        Tensor tensor = empty(type, shape);
        MemorySegment data = tensor.data();
        if (values.byteSize() != data.byteSize()) {
            tensor.close();
            throw new IllegalArgumentException(
                    values.byteSize() + " bytes do not fill a " + type + " tensor of shape " + Arrays.toString(shape));
        }
        data.copyFrom(values);
        return tensor;
    }

    /** Number of tensors this scope and its children own. */
    public int live() {
        return tensors.size() + children.stream().mapToInt(Scope::live).sum();
    }

    Tensor own(PtNDArray array) {
        return own(array, Optional.empty());
    }

    Tensor own(PtNDArray array, Optional<Tensor> gradient) {
        if (closed) {
            array.close();
            requireOpen();
        }
        Torch.start().counted(1);
        Tensor tensor = new Tensor(this, array, gradient);
        tensors.add(tensor);
        return tensor;
    }

    /** {@code tensor}, whose handle is taken over, as a leaf. */
    Tensor adopt(Tensor tensor, Tensor gradient) {
        PtNDArray array = tensor.giveUp();
        return own(array, Optional.of(gradient));
    }

    void take(Tensor tensor) {
        requireOpen();
        tensors.add(tensor);
    }

    void release(Tensor tensor) {
        tensors.remove(tensor);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the scope is closed");
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Scope child : Set.copyOf(children)) {
            child.close();
        }
        tensors.forEach(Tensor::free);
        tensors.clear();
        if (parent != null) {
            parent.children.remove(this);
        }
    }
}
