package io.vlmoperator.trainer.op;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Which kernels libtorch may choose: the process-wide switches of the C++ class {@code at::Context}, which libtorch's C interface lacks. They
 * are methods without virtual calls that take and return truth values, so that their first argument is the object's address.
 */
final class Kernels {
    private final MemorySegment context;
    private final MethodHandle setAlgorithms;
    private final MethodHandle algorithms;
    private final MethodHandle setFill;
    private final MethodHandle setCudnn;
    private final MethodHandle setCudnnSearch;

    Kernels(Native natives) {
        MethodHandle global = natives.function("_ZN2at13globalContextEv", FunctionDescriptor.of(ADDRESS));
        setAlgorithms = setter(natives, "26setDeterministicAlgorithmsEbb", ADDRESS, JAVA_BOOLEAN, JAVA_BOOLEAN);
        algorithms = natives.function(
                "_ZNK2at7Context23deterministicAlgorithmsEv", FunctionDescriptor.of(JAVA_BOOLEAN, ADDRESS));
        setFill = setter(natives, "39setDeterministicFillUninitializedMemoryEb", ADDRESS, JAVA_BOOLEAN);
        setCudnn = setter(natives, "21setDeterministicCuDNNEb", ADDRESS, JAVA_BOOLEAN);
        setCudnnSearch = setter(natives, "17setBenchmarkCuDNNEb", ADDRESS, JAVA_BOOLEAN);
        try {
            context = (MemorySegment) global.invokeExact();
        } catch (Throwable e) {
            throw Native.unexpected("at::globalContext", e);
        }
    }

    private static MethodHandle setter(Native natives, String name, MemoryLayout... arguments) {
        return natives.function("_ZN2at7Context" + name, FunctionDescriptor.ofVoid(arguments));
    }

    /**
     * Whether only kernels may run that give the same bits every time. Then the gradient of flash attention is summed in a fixed order, and an
     * operator of which libtorch knows no such kernel is an error, as is cuBLAS without {@code CUBLAS_WORKSPACE_CONFIG}.
     */
    void exact(boolean on) {
        try {
            // The second one would make those errors warnings.
            setAlgorithms.invokeExact(context, on, false);
            // New memory would be filled with NaN; nothing here reads what it has not written.
            setFill.invokeExact(context, false);
            setCudnn.invokeExact(context, on);
            setCudnnSearch.invokeExact(context, false);
        } catch (Throwable e) {
            throw Native.unexpected("at::Context", e);
        }
        if (exact() != on) {
            throw new TorchException("libtorch did not take up the choice of kernels");
        }
    }

    boolean exact() {
        try {
            return (boolean) algorithms.invokeExact(context);
        } catch (Throwable e) {
            throw Native.unexpected("at::Context", e);
        }
    }
}
