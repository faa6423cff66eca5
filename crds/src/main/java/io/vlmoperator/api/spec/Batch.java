package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** How many rows make up a step, and how long they are. */
public record Batch(
        @JsonPropertyDescription(
                "Rows in one optimizer step, over all workers. Missing: 256 for PretrainJob, 128 for SFTJob.")
        @Min(1)
        @Max(65_536)
        Integer globalSize,

        @JsonPropertyDescription("Rows in one forward pass of one process. Missing: 4 for PretrainJob, 2 for SFTJob.")
        @Min(1)
        @Max(4096)
        Integer microSize,

        @JsonPropertyDescription(
                "Longest row in tokens, visual and text. A PretrainJob's Datasets must be packed to the same length.")
        @Default("4096")
        @Min(2)
        @Max(131_072)
        Integer contextLength,

        @JsonPropertyDescription(
                "Whether packed samples see each other: BlockDiagonal (they do not; positions restart) or Causal (the paper's: over the whole row).")
        @Default("BlockDiagonal")
        Attention attention,

        @JsonPropertyDescription(
                "SFTJob only: samples of like length and modality share a batch. Missing: true for SFTJob.")
        Boolean groupByLength,

        @JsonPropertyDescription(
                "Whether the batch with the most tokens of the first epoch comes first, so that what does not fit into memory fails at once. Missing: false.")
        Boolean longestFirst) {
    /** Without a batch that is put first. */
    public Batch(
            Integer globalSize, Integer microSize, Integer contextLength, Attention attention, Boolean groupByLength) {
        this(globalSize, microSize, contextLength, attention, groupByLength, null);
    }

    public Batch {
        contextLength = Defaults.or(contextLength, 4096);
        attention = Defaults.or(attention, Attention.BlockDiagonal);
    }

    Batch orSize(int global, int micro) {
        return new Batch(
                Defaults.or(globalSize, global),
                Defaults.or(microSize, micro),
                contextLength,
                attention,
                groupByLength,
                longestFirst);
    }

    Batch orGrouped() {
        return new Batch(
                globalSize, microSize, contextLength, attention, Defaults.or(groupByLength, true), longestFirst);
    }

    /** Attention inside a packed row. */
    public enum Attention {
        /** Samples do not see each other; positions restart. */
        BlockDiagonal,
        /** The paper's: causal over the whole row, positions run on. */
        Causal
    }
}
