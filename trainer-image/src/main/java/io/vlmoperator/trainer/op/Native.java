package io.vlmoperator.trainer.op;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalLong;

/**
 * The part of libtorch's C interface that DJL lacks: empty tensors of any element type, data pointers, element types and devices. A DJL handle is an {@code at::Tensor*}, and so is an {@code AtenTensorHandle}.
 */
final class Native {
    private static final long MAX_CONFIG_BYTES = 64 * 1024;

    private final SymbolLookup torch;
    private final MethodHandle emptyStrided;
    private final MethodHandle dataPointer;
    private final MethodHandle dtype;
    private final MethodHandle deviceType;
    private final MethodHandle deviceIndex;
    private final MethodHandle overMemory;

    Native(Path libraryFolder) {
        Arena global = Arena.global(); // libtorch is never unloaded
        torch = SymbolLookup.libraryLookup(libraryFolder.resolve("libtorch_cpu.so"), global)
                .or(SymbolLookup.libraryLookup(libraryFolder.resolve("libc10.so"), global));
        emptyStrided = function(
                "aoti_torch_empty_strided",
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
        dataPointer = function("aoti_torch_get_data_ptr", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
        dtype = function("aoti_torch_get_dtype", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
        deviceType = function("aoti_torch_get_device_type", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
        deviceIndex = function("aoti_torch_get_device_index", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, ADDRESS));
        overMemory = function(
                "aoti_torch_create_tensor_from_blob",
                FunctionDescriptor.of(
                        JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                        ADDRESS));
    }

    /** A function that libtorch exports. */
    MethodHandle function(String name, FunctionDescriptor descriptor) {
        MemorySegment address = torch.find(name)
                .orElseThrow(() -> new TorchException(
                        "libtorch has no function " + name + "; the trainer needs libtorch " + Torch.VERSION));
        return Linker.nativeLinker().downcallHandle(address, descriptor);
    }

    /** libtorch's own description of its build, which names its version. */
    String buildDescription() {
        MemorySegment showConfig = torch.find("_ZN2at11show_configB5cxx11Ev")
                .or(() -> torch.find("_ZN2at11show_configEv"))
                .orElseThrow(
                        () -> new TorchException("the libtorch found does not say its version (no at::show_config)"));
        // A std::string comes back through a hidden first pointer: 8 bytes address, 8 bytes length, 16 bytes in place.
        MethodHandle call = Linker.nativeLinker().downcallHandle(showConfig, FunctionDescriptor.ofVoid(ADDRESS));
        try (Arena local = Arena.ofConfined()) {
            MemorySegment string = local.allocate(32, 8);
            call.invokeExact(string);
            long length = string.get(JAVA_LONG, 8);
            if (length < 0 || length > MAX_CONFIG_BYTES) {
                return "";
            }
            byte[] text = MemorySegment.ofAddress(string.get(JAVA_LONG, 0))
                    .reinterpret(length)
                    .toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            return new String(text, StandardCharsets.UTF_8);
        } catch (Throwable e) {
            throw unexpected("at::show_config", e);
        }
    }

    /** A new contiguous tensor with undefined content; returns its handle. */
    long empty(Device device, DType type, long[] shape) {
        OptionalLong handle = tryEmpty(device, type, shape);
        if (handle.isPresent()) {
            return handle.getAsLong();
        }
        String what =
                "a tensor of " + type + " " + Arrays.toString(shape) + " (libtorch's message is on standard error)";
        if (device.isHost()) {
            throw new TorchException("no memory of this machine is left for " + what);
        }
        // A GPU that has failed gives out nothing at all; the one element is never given back, the process ends.
        OptionalLong one = tryEmpty(device, type, new long[] {1});
        throw new TorchException(
                one.isPresent()
                        ? "no memory of the GPU is left for " + what
                        : "the GPU refuses even one element, not only " + what);
    }

    private OptionalLong tryEmpty(Device device, DType type, long[] shape) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment sizes = local.allocateFrom(JAVA_LONG, shape.length == 0 ? new long[1] : shape);
            MemorySegment strides = strides(local, shape);
            MemorySegment result = local.allocate(JAVA_LONG);
            int code = (int) emptyStrided.invokeExact(
                    (long) shape.length, sizes, strides, type.code(), device.code(), device.index(), result);
            return code == 0 ? OptionalLong.of(result.get(JAVA_LONG, 0)) : OptionalLong.empty();
        } catch (Throwable e) {
            throw unexpected("empty", e);
        }
    }

    /** A contiguous host tensor over memory that is not its own; returns its handle. The memory has to outlive it. */
    long over(MemorySegment memory, DType type, long[] shape) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment sizes = local.allocateFrom(JAVA_LONG, shape.length == 0 ? new long[1] : shape);
            MemorySegment strides = strides(local, shape);
            MemorySegment result = local.allocate(JAVA_LONG);
            check("tensor over memory", (int) overMemory.invokeExact(
                    memory,
                    (long) shape.length,
                    sizes,
                    strides,
                    0L,
                    type.code(),
                    Device.HOST.code(),
                    Device.HOST.index(),
                    result));
            return result.get(JAVA_LONG, 0);
        } catch (Throwable e) {
            throw unexpected("tensor over memory", e);
        }
    }

    private static MemorySegment strides(Arena arena, long[] shape) {
        MemorySegment strides = arena.allocate(JAVA_LONG, Math.max(1, shape.length));
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides.setAtIndex(JAVA_LONG, i, stride);
            stride = Math.multiplyExact(stride, Math.max(1, shape[i]));
        }
        return strides;
    }

    long dataPointer(long handle) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment result = local.allocate(JAVA_LONG);
            check("data pointer", (int) dataPointer.invokeExact(handle, result));
            return result.get(JAVA_LONG, 0);
        } catch (Throwable e) {
            throw unexpected("data pointer", e);
        }
    }

    DType dtype(long handle) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment result = local.allocate(JAVA_INT);
            check("element type", (int) dtype.invokeExact(handle, result));
            return DType.ofCode(result.get(JAVA_INT, 0));
        } catch (Throwable e) {
            throw unexpected("element type", e);
        }
    }

    Device device(long handle) {
        try (Arena local = Arena.ofConfined()) {
            MemorySegment kind = local.allocate(JAVA_INT);
            MemorySegment index = local.allocate(JAVA_INT);
            check("device", (int) deviceType.invokeExact(handle, kind));
            check("device", (int) deviceIndex.invokeExact(handle, index));
            // libtorch writes -1 where there is only one.
            return new Device(Device.Kind.ofCode(kind.get(JAVA_INT, 0)), Math.max(0, index.get(JAVA_INT, 0)));
        } catch (Throwable e) {
            throw unexpected("device", e);
        }
    }

    private static void check(String what, int code) {
        if (code != 0) {
            throw new TorchException("libtorch refused: " + what + " (its message is on standard error)");
        }
    }

    static RuntimeException unexpected(String what, Throwable cause) {
        return switch (cause) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new TorchException("calling libtorch failed: " + what, cause);
        };
    }
}
