package io.vlmoperator.trainer.op;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The few functions of CUDA's runtime library that neither DJL nor libtorch's C interface offers. Opened only beside a libtorch for CUDA. */
final class CudaRuntime {
    private static final String LIBRARY = "libcudart.so.12";
    private static final int MOST = 64;
    private static final int CAPABILITY_MAJOR = 75; // cudaDevAttrComputeCapabilityMajor
    private static final int CAPABILITY_MINOR = 76; // cudaDevAttrComputeCapabilityMinor
    private static final int NO_DRIVER = 35; // cudaErrorInsufficientDriver, also without any
    private static final int COPY_BY_ADDRESS = 4; // cudaMemcpyDefault
    private static final int NAME_BYTES = 256;

    /** cudaDeviceProp begins with the name; the rest, about 1 KiB, is not read. */
    private static final int PROPERTIES_BYTES = 8192;

    private final SymbolLookup library;

    private CudaRuntime(SymbolLookup library) {
        this.library = library;
    }

    /** The runtime beside this libtorch, or why there is none. */
    sealed interface Opened {
        record Runtime(CudaRuntime cuda) implements Opened {}

        record Missing(String why) implements Opened {}
    }

    /** @param libtorch folder of libtorch */
    static Opened open(Path libtorch) {
        if (!Files.exists(libtorch.resolve("libtorch_cuda.so"))) {
            return new Opened.Missing("libtorch is built for processors only (no libtorch_cuda.so in " + libtorch
                    + "); see gpu.md for the image with CUDA");
        }
        try {
            // By name: libtorch_cuda has loaded it already.
            return new Opened.Runtime(new CudaRuntime(SymbolLookup.libraryLookup(LIBRARY, Arena.global())));
        } catch (IllegalArgumentException e) {
            return new Opened.Missing(LIBRARY + " can't be loaded; put its folder into LD_LIBRARY_PATH");
        }
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        MemorySegment address =
                library.find(name).orElseThrow(() -> new TorchException(LIBRARY + " has no function " + name));
        return Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    /** All GPUs that this process sees. */
    Gpus gpus(String build) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment count = local.allocate(JAVA_INT);
            int code = (int) function("cudaGetDeviceCount", ADDRESS).invokeExact(count);
            if (code != 0) {
                return Gpus.none(
                        code == NO_DRIVER
                                ? "CUDA finds no driver of NVIDIA, or one that is older than its version 12"
                                : "CUDA finds no GPU: " + message(code));
            }
            List<Gpus.Gpu> all = new ArrayList<>();
            for (int i = 0; i < Math.min(MOST, count.get(JAVA_INT, 0)); i++) {
                all.add(gpu(i, local));
            }
            return Gpus.checked(all, build);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private Gpus.Gpu gpu(int index, Arena arena) throws Throwable {
        MethodHandle attribute = function("cudaDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
        MemorySegment value = arena.allocate(JAVA_INT);
        check((int) attribute.invokeExact(value, CAPABILITY_MAJOR, index));
        int major = value.get(JAVA_INT, 0);
        check((int) attribute.invokeExact(value, CAPABILITY_MINOR, index));
        int minor = value.get(JAVA_INT, 0);
        MemorySegment properties = arena.allocate(PROPERTIES_BYTES, 8);
        check((int) function("cudaGetDeviceProperties_v2", ADDRESS, JAVA_INT).invokeExact(properties, index));
        // name[256], uuid[16], luid[8], its mask[4], 4 bytes of padding, then the size of the memory.
        long bytes = properties.get(JAVA_LONG, NAME_BYTES + 16 + 8 + 4 + 4);
        return new Gpus.Gpu(properties.getString(0), major, minor, bytes);
    }

    /** Waits until the GPU has done everything it was asked. */
    void synchronize() {
        try {
            check((int) function("cudaDeviceSynchronize").invokeExact());
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Copies between any two memories, in the order of the other work on the GPU; returns when it is done. */
    void copy(MemorySegment from, MemorySegment to) {
        try {
            MethodHandle call = function("cudaMemcpy", ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT);
            check((int) call.invokeExact(to, from, from.byteSize(), COPY_BY_ADDRESS));
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Locks host memory into place, so that copies from and to it go at the link's full speed; false where the system does not allow it. */
    boolean pageLock(MemorySegment memory) {
        try {
            return (int) function("cudaHostRegister", ADDRESS, JAVA_LONG, JAVA_INT)
                            .invokeExact(memory, memory.byteSize(), 0)
                    == 0;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Before memory that was locked is freed. */
    void pageUnlock(MemorySegment memory) {
        try {
            check((int) function("cudaHostUnregister", ADDRESS).invokeExact(memory));
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Bytes of the GPU's memory in use, by all processes; libtorch keeps what it once took. */
    long usedBytes() {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment free = local.allocate(JAVA_LONG);
            MemorySegment total = local.allocate(JAVA_LONG);
            check((int) function("cudaMemGetInfo", ADDRESS, ADDRESS).invokeExact(free, total));
            return total.get(JAVA_LONG, 0) - free.get(JAVA_LONG, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private String message(int code) {
        Optional<MemorySegment> address = library.find("cudaGetErrorString");
        if (address.isEmpty()) {
            return "error " + code;
        }
        MethodHandle call =
                Linker.nativeLinker().downcallHandle(address.get(), FunctionDescriptor.of(ADDRESS, JAVA_INT));
        try {
            MemorySegment text = (MemorySegment) call.invokeExact(code);
            return text.reinterpret(NAME_BYTES).getString(0) + " (error " + code + ")";
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private void check(int code) {
        if (code != 0) {
            throw new TorchException("CUDA: " + message(code));
        }
    }

    private static RuntimeException unexpected(Throwable cause) {
        return switch (cause) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new TorchException("calling CUDA failed", cause);
        };
    }
}
