package io.vlmoperator.trainer.plan;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * Memory of one process at its fullest, by part, in bytes.
 *
 * @param weights FLOAT32, trained (with BFLOAT16 layers the process's shard) and frozen, and the BFLOAT16 copies that layers compute with
 * @param gradients FLOAT32, of the trained weights
 * @param moments AdamW's two, FLOAT32
 * @param kept what layers keep from the forward pass until the way back
 * @param passing what one layer, the encoder or the head needs at a time
 * @param runtime context, libraries, the JVM
 * @param staging the copy of the state that is written as a checkpoint while training goes on: in the host's memory
 * @param onHost whether the process computes in the host's memory, too
 */
public record MemoryPlan(
        double weights,
        double gradients,
        double moments,
        double kept,
        double passing,
        double runtime,
        double staging,
        boolean onHost) {
    private static final int FLOAT32 = 4;
    private static final int BFLOAT16 = 2;

    /** Elements of logits that the head forms at a time, but at least those of so many rows. */
    private static final int HEAD_CHUNK = 1 << 22;

    private static final int HEAD_ROWS = 256;

    /**
     * Of one process.
     *
     * @param shards processes that moments, and with BFLOAT16 layers master weights, are divided among (ZeRO-1); 1: every process has all of
     *     them
     */
    public static MemoryPlan of(Workload work, Device device, int shards) {
        StateMemory state =
                StateMemory.of(work.trainedCount(), work.count() - work.trainedCount(), work.bfloat16(), shards);
        int width = work.bfloat16() ? BFLOAT16 : FLOAT32;
        return new MemoryPlan(
                (double) state.masters() + state.frozen() + state.rounded(),
                state.gradients(),
                state.moments(),
                kept(work) * width,
                passing(work) * width + head(work),
                device.runtimeBytes(),
                state.staging(),
                device.name().equals(Device.CPU));
    }

    /** All that lies in the device's memory. */
    public double total() {
        return weights + gradients + moments + kept + passing + runtime + (onHost ? staging : 0);
    }

    /** The parts of {@link #total} under the names that people read. */
    public SequencedMap<String, Double> parts() {
        SequencedMap<String, Double> parts = new LinkedHashMap<>();
        parts.put("weights", weights);
        parts.put("gradients", gradients);
        parts.put("optimizer moments", moments);
        parts.put("kept activations", kept);
        parts.put("passing activations", passing);
        parts.put("runtime", runtime);
        if (onHost) {
            parts.put("copy for checkpoints", staging);
        }
        return parts;
    }

    /** Elements kept by all layers that gradients go through. */
    private static double kept(Workload work) {
        if (work.trained().isEmpty()) {
            return 0;
        }
        LanguageConfig language = work.model().language();
        VisionConfig vision = work.model().vision();
        double all = language.numHiddenLayers() * work.tokens() * languageLayer(language, work.recompute());
        // What goes into the first layer, and out of the last.
        all += 2 * work.tokens() * language.hiddenSize();
        double patches = work.images() * vision.patches();
        if (work.trained().contains(Part.VISION)) {
            all += vision.usedLayers() * patches * visionLayer(vision, work.recompute());
        }
        // The projector: pooled patches, the hidden layer before and behind its activation.
        all += work.images() * work.tokensPerImage() * (vision.hiddenSize() + 2.0 * language.hiddenSize());
        return all;
    }

    /** Elements per token that one decoder layer keeps. */
    private static double languageLayer(LanguageConfig language, Workload.Recompute recompute) {
        double d = language.hiddenSize();
        double keys = (double) language.numKeyValueHeads() * language.headDim();
        double inner = language.intermediateSize();
        return switch (recompute) {
            // Input, both norms, middle; queries and keys after rotation, keys and values repeated for every query
            // head, attention's result
            // in two orders; gate and up, and their product.
            case NONE -> 4 * d + (d + keys) + 2 * d + 2 * d + 3 * inner;
            // Input and the results of the products: query, key and value; attention's output; gate and up.
            case SELECTIVE -> d + (d + 2 * keys) + d + 2 * inner;
            case FULL -> d;
        };
    }

    /** Elements per patch that one encoder layer keeps; as the decoder's, with as many keys as queries and one MLP matrix in. */
    private static double visionLayer(VisionConfig vision, Workload.Recompute recompute) {
        double d = vision.hiddenSize();
        double inner = vision.intermediateSize();
        return switch (recompute) {
            case NONE -> 4 * d + 3 * d + 2 * d + 2 * inner;
            case SELECTIVE -> 5 * d + inner;
            case FULL -> d;
        };
    }

    /** Elements that live only while one layer is passed, in the larger of decoder and encoder. */
    private static double passing(Workload work) {
        LanguageConfig language = work.model().language();
        VisionConfig vision = work.model().vision();
        double again = work.recompute() == Workload.Recompute.NONE
                ? 0
                : languageLayer(language, Workload.Recompute.NONE) - languageLayer(language, work.recompute());
        // On the way back through the MLP: gradients of gate, up and their product, what they are formed from, input
        // and output.
        double layer = work.tokens() * (again + 5.0 * language.intermediateSize() + 4.0 * language.hiddenSize());
        double encoder = work.images()
                * vision.patches()
                * (2.0 * vision.intermediateSize() + 6.0 * vision.hiddenSize())
                * (work.trained().contains(Part.VISION) ? 2 : 1);
        double pixels = work.images() * 3 * vision.imageSize() * vision.imageSize();
        return Math.max(layer, encoder) + pixels;
    }

    /** Bytes of a chunk of logits in FLOAT32 (and in BFLOAT16 besides); of the states that go into the head, and their gradient. */
    private static double head(Workload work) {
        LanguageConfig language = work.model().language();
        double rows = Math.min(work.tokens(), Math.max(HEAD_ROWS, (double) HEAD_CHUNK / language.vocabSize()));
        double logits = rows * language.vocabSize() * (work.bfloat16() ? FLOAT32 + 2 * BFLOAT16 : FLOAT32);
        return logits + 2 * work.tokens() * language.hiddenSize() * (work.bfloat16() ? BFLOAT16 : FLOAT32);
    }
}
