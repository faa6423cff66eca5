package io.vlmoperator.trainer.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.vlmoperator.trainer.op.Scope;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32;

/**
 * Random weights of a fresh start. A parameter's values depend on the seed, its name and its shape only: not on threads, not on which
 * parts are trained.
 *
 * <p>Biases are 0 and norm weights 1. Embeddings are normal with deviation 0.02 (text) and 0.02 (positions). Matrices are normal with
 * deviation 0.8 / sqrt(inputs), which is the usual 0.02 at width 1536 and stays right for narrow models; those that write into the
 * residual stream are divided by sqrt(2 * layers) (GPT-2's rule), so its variance does not grow with depth. The projector's two layers use 1 / sqrt(inputs).
 */
final class Initialization {
    private static final Set<String> RESIDUAL =
            Set.of("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight");

    private Initialization() {}

    static void random(Weights weights, Set<Part> parts, ModelConfig config, long seed) {
        try (Scope scope = Scope.open()) {
            Map<Parameter, MemorySegment> targets = new LinkedHashMap<>();
            for (Parameter parameter : weights.parameters()) {
                if (parts.contains(parameter.part())) {
                    targets.put(parameter, weights.view(parameter.name(), scope).data());
                }
            }
            targets.entrySet().parallelStream()
                    .forEach(target -> fill(target.getKey(), target.getValue(), config, seed));
        }
    }

    private static void fill(Parameter parameter, MemorySegment target, ModelConfig config, long seed) {
        long count = parameter.count();
        if (parameter.shape().size() == 1) {
            float value = parameter.name().endsWith("bias") ? 0 : 1;
            for (long i = 0; i < count; i++) {
                target.setAtIndex(JAVA_FLOAT, i, value);
            }
            return;
        }
        double deviation = deviation(parameter, config);
        Normal normal = new Normal(seed, parameter.name());
        for (long i = 0; i < count; i++) {
            target.setAtIndex(JAVA_FLOAT, i, (float) (deviation * normal.next()));
        }
    }

    private static double deviation(Parameter parameter, ModelConfig config) {
        if (parameter.name().endsWith("embed_tokens.weight")
                || parameter.name().endsWith("position_embedding.weight")) {
            return 0.02;
        }
        double inputs = (double) parameter.count() / parameter.shape().getFirst();
        int layers = switch (parameter.part()) {
            case VISION -> config.vision().numHiddenLayers();
            case LANGUAGE -> config.language().numHiddenLayers();
            case PROJECTOR -> 0;
        };
        double scale = layers == 0 ? 1 : 0.8;
        boolean residual = RESIDUAL.stream().anyMatch(parameter.name()::endsWith);
        return scale / Math.sqrt(inputs) / (residual ? Math.sqrt(2.0 * layers) : 1);
    }

    /** Normal numbers by SplitMix64 and Box-Muller: the same on every machine and runtime. */
    private static final class Normal {
        private long state;
        private double second = Double.NaN;

        Normal(long seed, String name) {
            CRC32 crc = new CRC32();
            crc.update(name.getBytes(StandardCharsets.UTF_8));
            state = seed * 0x9E3779B97F4A7C15L + crc.getValue();
            bits();
        }

        private long bits() {
            state += 0x9E3779B97F4A7C15L;
            long z = state;
            z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
            z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
            return z ^ (z >>> 31);
        }

        double next() {
            if (!Double.isNaN(second)) {
                double value = second;
                second = Double.NaN;
                return value;
            }
            double u = ((bits() >>> 11) + 1) * 0x1.0p-53; // (0, 1]
            double angle = 2 * Math.PI * ((bits() >>> 11) * 0x1.0p-53);
            double radius = StrictMath.sqrt(-2 * StrictMath.log(u));
            second = radius * StrictMath.sin(angle);
            return radius * StrictMath.cos(angle);
        }
    }
}
