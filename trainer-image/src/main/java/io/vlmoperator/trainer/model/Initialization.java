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
 * <p>Biases are 0 and norm weights 1. Embeddings of positions are normal with deviation 0.02, those of text with 0.02 * sqrt(1536 / width),
 * but at least 0.02: the head is tied to them, so 0.02 at width 128 means logits of deviation 0.2 only, and a stream in which a token's own
 * embedding is drowned by the first layer's output. Matrices are normal with
 * deviation 0.8 / sqrt(inputs), which is the usual 0.02 at width 1536 and stays right for narrow models; those that write into the
 * residual stream are divided by sqrt(2 * layers) (GPT-2's rule), so its variance does not grow with depth. The projector's two layers use 1 / sqrt(inputs).
 *
 * <p>In a decoder with as many key-value heads as heads, {@code o_proj} is the transpose of {@code v_proj}, scaled to the deviation that it
 * would have otherwise (mimetic initialisation: Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers", 2023). What a head
 * attends to is then written back along the directions it was read from: a decoder begins as a copier of tokens, and has to learn only where to
 * look. With grouped queries a value head serves several heads, so the two have different shapes, and {@code o_proj} is drawn like any matrix.
 */
final class Initialization {
    private static final Set<String> RESIDUAL =
            Set.of("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight");

    private static final String OUTPUT = "self_attn.o_proj.weight";
    private static final String VALUE = "self_attn.v_proj.weight";

    /** Where 0.8 / sqrt(width) is the deviation 0.02 that wide models' embeddings are drawn with. */
    private static final double USUAL_WIDTH = 1536;

    private Initialization() {}

    static void random(Weights weights, Set<Part> parts, ModelConfig config, long seed) {
        try (Scope scope = Scope.open();
                HostWeights host = new HostWeights(weights, scope)) {
            Map<Parameter, MemorySegment> targets = new LinkedHashMap<>();
            for (Parameter parameter : weights.parameters()) {
                if (parts.contains(parameter.part())) {
                    targets.put(parameter, host.write(parameter.name()));
                }
            }
            targets.entrySet().parallelStream()
                    .forEach(target -> fill(target.getKey(), target.getValue(), config, seed));
            if (parts.contains(Part.LANGUAGE) && beginsAsCopier(config.language())) {
                targets.entrySet().parallelStream()
                        .filter(target -> target.getKey().name().endsWith(OUTPUT))
                        .forEach(target -> copyTransposed(
                                valuesBeside(target.getKey(), targets),
                                target.getValue(),
                                config.language().hiddenSize(),
                                1 / Math.sqrt(2.0 * config.language().numHiddenLayers())));
            }
        }
    }

    /** Whether every head has a value matrix of its own, whose transpose its output matrix can be. */
    private static boolean beginsAsCopier(LanguageConfig config) {
        return config.numKeyValueHeads() == config.numAttentionHeads();
    }

    /** The values' matrix of the layer that an output matrix belongs to. */
    private static MemorySegment valuesBeside(Parameter output, Map<Parameter, MemorySegment> targets) {
        String name = output.name().replace(OUTPUT, VALUE);
        return targets.entrySet().stream()
                .filter(target -> target.getKey().name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("the model has no parameter " + name))
                .getValue();
    }

    /**
     * Heads lie one below the other in the values' rows and side by side in the output's columns, so one transpose of the whole serves all.
     *
     * @param size rows and columns of both
     */
    private static void copyTransposed(MemorySegment from, MemorySegment to, int size, double scale) {
        for (long row = 0; row < size; row++) {
            for (long column = 0; column < size; column++) {
                to.setAtIndex(JAVA_FLOAT, row * size + column, (float)
                        (scale * from.getAtIndex(JAVA_FLOAT, column * size + row)));
            }
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
        if (parameter.name().endsWith("position_embedding.weight")) {
            return 0.02;
        }
        if (parameter.name().endsWith("embed_tokens.weight")) {
            double width = parameter.shape().getLast();
            return 0.02 * Math.sqrt(Math.max(1, USUAL_WIDTH / width));
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
