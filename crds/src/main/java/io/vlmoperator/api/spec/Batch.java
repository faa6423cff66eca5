package io.vlmoperator.api.spec;

/**
 * @param globalSize rows in one optimizer step, over all workers
 * @param microSize rows in one forward pass of one process
 * @param contextLength longest row in tokens
 * @param attention whether packed samples see each other
 * @param groupByLength SFTJob: samples of like length and modality share a batch
 */
public record Batch(
        Integer globalSize, Integer microSize, Integer contextLength, Attention attention, Boolean groupByLength) {
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
                groupByLength);
    }

    /** Attention inside a packed row. */
    public enum Attention {
        /** Samples do not see each other; positions restart. */
        BlockDiagonal,
        /** The paper's: causal over the whole row, positions run on. */
        Causal
    }
}
