package io.vlmoperator.trainer.launch;

import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Memory that could not be had: of which kind it was, and what to change. */
final class OutOfMemory {
    private static final int MAX_REASON = 300;
    private static final long MIB = 1 << 20;

    /** What libtorch says when a processor's memory is used up. */
    private static final List<String> HOST = List.of(
            "DefaultCPUAllocator",
            "not enough memory: you tried to allocate",
            "Cannot allocate memory",
            "no memory of this machine is left");

    /** What CUDA and its libraries say when a GPU's memory is used up. */
    private static final List<String> GPU = List.of(
            "CUDA out of memory",
            "CUDA error: out of memory",
            "no memory of the GPU is left",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_ALLOC_FAILED");

    private OutOfMemory() {}

    /** Whether this, causes left aside, says that there is no memory. */
    static boolean is(Throwable t) {
        return t instanceof OutOfMemoryError || says(t, HOST) || says(t, GPU);
    }

    private static boolean says(Throwable t, List<String> any) {
        String message = String.valueOf(t.getMessage());
        return any.stream().anyMatch(message::contains);
    }

    /** What happened and what to change, in one line; empty where nothing in the chain of causes is {@link #is of this kind}. */
    static Optional<String> advice(Throwable thrown) {
        for (Throwable t = thrown; t != null; t = t.getCause()) {
            if (t instanceof OutOfMemoryError error) {
                return Optional.of(java(error));
            }
            if (says(t, GPU)) {
                return Optional.of("out of the GPU's memory: " + reason(t, GPU)
                        + "; lower batch.microSize, choose recompute:" + " Full, or use more or larger GPUs");
            }
            if (says(t, HOST)) {
                return Optional.of(
                        "out of memory: " + reason(t, HOST) + "; raise workers.resources.limits.memory, lower"
                                + " batch.microSize, choose recompute: Full, or use more workers");
            }
        }
        return Optional.empty();
    }

    private static String java(OutOfMemoryError error) {
        String what = String.valueOf(error.getMessage());
        if (what.contains("native thread")) {
            return "out of threads: " + what + "; the node or the pod allows too few processes";
        }
        return String.format(
                Locale.ROOT,
                "out of memory in the Java heap, which may have %,d MiB: %s; raise it by the variable TRAINER_HEAP in"
                        + " workers.env (such as 4g), and workers.resources.limits.memory with it",
                Runtime.getRuntime().maxMemory() / MIB,
                what.substring(0, Math.min(MAX_REASON, what.length())));
    }

    /** The line that says it; libtorch adds its own stack. */
    private static String reason(Throwable t, List<String> any) {
        String line = String.valueOf(t.getMessage())
                .lines()
                .filter(one -> any.stream().anyMatch(one::contains))
                .findFirst()
                .orElse("no message")
                .strip();
        return line.substring(0, Math.min(MAX_REASON, line.length()));
    }
}
