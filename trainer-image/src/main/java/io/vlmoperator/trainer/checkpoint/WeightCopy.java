package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Scope;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Copies tensors from mapped files into a model so that, beside the weights themselves, hardly any memory is in use: there is no
 * copy between, and the pages of the file are given back as soon as they have been read (they would count as resident
 * until the file is closed, and a container's limit counts them).
 */
final class WeightCopy {
    private static final long PIECE_BYTES = 16L << 20;
    private static final long PAGE = 4096;
    private static final int DONT_NEED = 4; // MADV_DONTNEED
    private static final Optional<MethodHandle> ADVISE = advise();

    private WeightCopy() {}

    /** Copies a tensor of the same shape, of FLOAT32 or BFLOAT16, into a parameter. */
    static void into(Weights weights, String parameter, Safetensors.Entry entry) {
        into(weights, parameter, entry.data(), entry.type());
    }

    /** As {@link #into(Weights, String, Safetensors.Entry)}, from a part of a tensor. */
    static void into(Weights weights, String parameter, MemorySegment data, DType type) {
        try (Scope scope = Scope.open();
                HostMemory memory = weights.view(parameter, scope).host(HostMemory.Access.WRITE)) {
            MemorySegment target = memory.segment();
            long elements = data.byteSize() / type.bytes();
            long piece = PIECE_BYTES / Float.BYTES;
            for (long from = 0; from < elements; from += piece) {
                long count = Math.min(piece, elements - from);
                MemorySegment source = data.asSlice(from * type.bytes(), count * type.bytes());
                MemorySegment part = target.asSlice(from * Float.BYTES, count * Float.BYTES);
                if (type == DType.FLOAT32) {
                    part.copyFrom(source);
                } else {
                    // BFLOAT16 is the upper half of FLOAT32.
                    for (long i = 0; i < count; i++) {
                        part.set(
                                ValueLayout.JAVA_INT_UNALIGNED,
                                i * Float.BYTES,
                                source.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * Short.BYTES) << 16);
                    }
                }
                release(source);
            }
        }
    }

    /** Gives back the whole pages of a piece of a mapped file; reading it again is possible. */
    static void release(MemorySegment mapped) {
        if (!mapped.isMapped() || ADVISE.isEmpty()) {
            return;
        }
        long from = (mapped.address() + PAGE - 1) / PAGE * PAGE;
        long to = (mapped.address() + mapped.byteSize()) / PAGE * PAGE;
        if (to > from) {
            try {
                int ignored = (int) ADVISE.get().invokeExact(from, to - from, DONT_NEED);
            } catch (Throwable e) {
                throw new IllegalStateException("madvise", e);
            }
        }
    }

    private static Optional<MethodHandle> advise() {
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find("madvise")
                .map(address -> linker.downcallHandle(
                        address,
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_INT)));
    }
}
