package io.vlmoperator.trainer.op;

import ai.djl.pytorch.engine.PtNDArray;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Owner of tensors: closing a scope frees everything made in it and in its children. A training step opens one scope, so a step leaves
 * nothing behind; what must outlive it is handed on with {@link Tensor#moveTo}. Belongs to one thread.
 */
public final class Scope implements AutoCloseable {
    private final Scope parent;
    private final Device device;
    private final Set<Tensor> tensors = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Set<Scope> children = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Ops ops = new Ops(this, Optional.empty());
    private boolean closed;

    private Scope(Scope parent, Device device) {
        this.parent = parent;
        this.device = device;
    }

    /** A scope of its own, on the device that this process computes on. Starts libtorch if that has not happened yet. */
    public static Scope open() {
        return new Scope(null, Torch.start().device());
    }

    /** A scope of its own whose tensors Java can read in place. */
    public static Scope onHost() {
        return on(Device.HOST);
    }

    /** A scope of its own on any device. */
    static Scope on(Device device) {
        Torch.start();
        return new Scope(null, device);
    }

    /** A scope inside this one, on the same device, closed with it at the latest. */
    public Scope child() {
        requireOpen();
        Scope child = new Scope(this, device);
        children.add(child);
        return child;
    }

    /** Where the tensors made here lie. */
    public Device device() {
        return device;
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
        return own(new PtNDArray(torch.manager(), torch.natives().empty(device, type, shape)));
    }

    /** A tensor of zeros. */
    public Tensor zeros(DType type, long... shape) {
        Tensor tensor = empty(type, shape);
        if (device.isHost()) {
            tensor.data().fill((byte) 0);
        } else {
            ops.zero(tensor);
        }
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
        return made(DType.INT64, new long[] {values.length}, data -> {
            for (int i = 0; i < values.length; i++) {
                data.setAtIndex(ValueLayout.JAVA_LONG, i, values[i]);
            }
        });
    }

    /** An INT32 tensor with a copy of these values. */
    public Tensor ints(int[] values) {
        return copy(MemorySegment.ofArray(values), DType.INT32, values.length);
    }

    /** A FLOAT32 scalar. */
    public Tensor scalar(float value) {
        Tensor tensor = empty(DType.FLOAT32);
        ops.fill(tensor, value);
        return tensor;
    }

    /** A tensor with a copy of row-major host memory whose size must be that of the shape. */
    public Tensor copy(MemorySegment values, DType type, long... shape) {
        return made(type, shape, data -> {
            if (values.byteSize() != data.byteSize()) {
                throw new IllegalArgumentException(values.byteSize() + " bytes do not fill a " + type
                        + " tensor of shape " + Arrays.toString(shape));
            }
            data.copyFrom(values);
        });
    }

    /**
     * A tensor that is written on the host. To a GPU it goes from page-locked memory, without waiting: libtorch keeps that memory until the
     * copy has been made.
     */
    private Tensor made(DType type, long[] shape, Consumer<MemorySegment> writer) {
        if (device.isHost()) {
            Tensor tensor = empty(type, shape);
            try {
                writer.accept(tensor.data());
            } catch (RuntimeException e) {
                tensor.close();
                throw e;
            }
            return tensor;
        }
        Script script = Torch.start().script();
        try (Scope staging = onHost()) {
            Tensor here = device.kind() == Device.Kind.CUDA
                    ? script.tensor(staging, "page_locked", shape, type.code())
                    : staging.empty(type, shape);
            writer.accept(here.data());
            return script.tensor(this, "to_device", here, device.toString());
        }
    }

    /** A host tensor over memory that is not its own and has to outlive it. */
    Tensor over(MemorySegment memory, DType type, long... shape) {
        Torch torch = Torch.start();
        return own(new PtNDArray(torch.manager(), torch.natives().over(memory, type, shape)));
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
