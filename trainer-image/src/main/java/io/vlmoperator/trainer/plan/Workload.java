package io.vlmoperator.trainer.plan;

import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import java.util.Set;

/**
 * What is trained, and on what kind of samples.
 *
 * @param trained parts that learn
 * @param bfloat16 whether layers compute in BFLOAT16, beside master weights in FLOAT32
 * @param rows what a process has in one forward pass
 * @param globalRows rows of an optimizer step
 * @param rowTokens tokens of a row on average, visual and text
 * @param longestRowTokens tokens of the longest row, which decides the memory
 * @param sampleTokens tokens of a sample with its image
 * @param imagesPerSample 1, or 0 for text
 * @param causal whether attention runs over the whole row, or over each sample
 */
public record Workload(
        ModelConfig model,
        Set<Part> trained,
        boolean bfloat16,
        Recompute recompute,
        int rows,
        int globalRows,
        double rowTokens,
        double longestRowTokens,
        double sampleTokens,
        int imagesPerSample,
        boolean causal) {
    /** What layers form a second time on the way back. */
    public enum Recompute {
        NONE,
        SELECTIVE,
        FULL
    }

    /** Decoder layers, encoder layers that learn, and the rest as one: what gradients are sent in. */
    int layers() {
        return model.language().numHiddenLayers()
                + (trained.contains(Part.VISION) ? model.vision().usedLayers() : 0)
                + 1;
    }

    public Workload {
        trained = Set.copyOf(trained);
        if (rows < 1 || globalRows < 1 || sampleTokens < 1 || rowTokens < 1 || longestRowTokens < rowTokens) {
            throw new IllegalArgumentException(rows + " rows of " + rowTokens + " to " + longestRowTokens
                    + " tokens, samples of " + sampleTokens + ": all must be at least 1, and in order");
        }
    }

    /** Visual tokens of an image. */
    int tokensPerImage() {
        return model.projector().tokensPerImage();
    }

    double imagesPerToken() {
        return imagesPerSample / sampleTokens;
    }

    /** Tokens of the largest forward pass of a process. */
    double tokens() {
        return rows * longestRowTokens;
    }

    /** Images of one forward pass of a process. */
    double images() {
        return rows * Math.max(1, rowTokens / sampleTokens) * imagesPerSample;
    }

    /** Tokens of an optimizer step. */
    double tokensPerStep() {
        return globalRows * rowTokens;
    }

    /** Keys that a token sees on average, itself included. */
    double keysPerToken() {
        return ((causal ? rowTokens : sampleTokens) + 1) / 2;
    }

    /** Weights that learn. */
    long trainedCount() {
        return model.parameters().stream()
                .filter(parameter -> trained.contains(parameter.part()))
                .mapToLong(Parameter::count)
                .sum();
    }

    /** All weights. */
    long count() {
        return model.parameters().stream().mapToLong(Parameter::count).sum();
    }
}
