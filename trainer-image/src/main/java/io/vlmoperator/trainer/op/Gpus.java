package io.vlmoperator.trainer.op;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The GPUs that this process sees, or why there are none to compute on.
 *
 * @param all in CUDA's order; the first is the one that is computed on
 * @param why no GPU can be used, as a sentence; empty if one can
 */
public record Gpus(List<Gpu> all, Optional<String> why) {
    private static final Pattern CUBIN = Pattern.compile("code=sm_(\\d+)(\\d)a?\\b");
    private static final Pattern PORTABLE = Pattern.compile("code=compute_(\\d+)(\\d)\\b");
    private static final long GIB = 1 << 30;

    /** A build that does not say, but is PyPI's for CUDA 12.6: what that has code for. */
    private static final String CUDA_126 = "CUDA_VERSION=12.6";

    private static final String KNOWN_TO_126 =
            "code=sm_50 code=sm_60 code=sm_70 code=sm_75 code=sm_80 code=sm_86 code=sm_90";

    /** Compute capability from which bf16 products and flash attention run. */
    private static final int BF16_MAJOR = 8;

    /**
     * One GPU.
     *
     * @param major first digit of the compute capability
     * @param minor second digit of the compute capability
     * @param bytes of its memory
     */
    public record Gpu(String name, int major, int minor, long bytes) {
        /** Whether it multiplies in BFLOAT16. */
        public boolean hasBfloat16() {
            return major >= BF16_MAJOR;
        }

        /** For people. */
        @Override
        public String toString() {
            return String.format(Locale.ROOT, "%s, compute capability %d.%d, %d GiB", name, major, minor, bytes / GIB);
        }
    }

    public Gpus {
        all = List.copyOf(all);
    }

    static Gpus none(String why) {
        return new Gpus(List.of(), Optional.of(why));
    }

    /**
     * Refuses GPUs that libtorch has no code for: on such a one the first operator would fail.
     *
     * @param build libtorch's description of its build, with the architectures that it was compiled for
     */
    static Gpus checked(List<Gpu> found, String build) {
        if (found.isEmpty()) {
            return none("CUDA finds no GPU");
        }
        if (build.contains(CUDA_126) && !CUBIN.matcher(build).find()) {
            return checked(found, KNOWN_TO_126);
        }
        for (Gpu gpu : found) {
            if (!runs(gpu, build)) {
                return new Gpus(
                        found,
                        Optional.of("this libtorch has no code for " + gpu + "; it knows " + architectures(build)
                                + ". Use a GPU that it knows, or an image with a libtorch " + Torch.VERSION
                                + " built for this one"));
            }
        }
        return new Gpus(found, Optional.empty());
    }

    /** Code runs on its own major version from its minor on; portable code is compiled for anything newer. */
    private static boolean runs(Gpu gpu, String build) {
        Matcher cubin = CUBIN.matcher(build);
        boolean named = false;
        while (cubin.find()) {
            named = true;
            if (Integer.parseInt(cubin.group(1)) == gpu.major() && Integer.parseInt(cubin.group(2)) <= gpu.minor()) {
                return true;
            }
        }
        Matcher portable = PORTABLE.matcher(build);
        while (portable.find()) {
            named = true;
            if (Integer.parseInt(portable.group(1) + portable.group(2)) <= gpu.major() * 10 + gpu.minor()) {
                return true;
            }
        }
        return !named; // a build that does not say: libtorch itself will
    }

    private static String architectures(String build) {
        return CUBIN.matcher(build)
                .results()
                .map(found -> found.group(1) + "." + found.group(2))
                .distinct()
                .collect(Collectors.joining(", "));
    }
}
