package io.vlmoperator.trainer.plan;

/**
 * Bytes that a process keeps for the model and its optimizer from the first step to the last: what the plan and the budget at start have in
 * common.
 *
 * @param masters FLOAT32 weights that learn; with BFLOAT16 layers this process's share of them
 * @param gradients FLOAT32, of all weights that learn
 * @param moments AdamW's two of this process's share, FLOAT32
 * @param frozen FLOAT32 weights that do not learn
 * @param rounded the BFLOAT16 copy of all weights that layers compute with, if they compute in that
 * @param staging the copy of this process's state (weights and both moments) that another thread writes while training goes on; always on the
 *     host
 */
public record StateMemory(long masters, long gradients, long moments, long frozen, long rounded, long staging) {
    private static final int FLOAT32 = 4;
    private static final int BFLOAT16 = 2;

    /** Of a weight that is saved: itself and two moments. */
    public static final int SAVED = 3 * FLOAT32;

    /**
     * Of one process.
     *
     * @param trained weights that learn
     * @param frozen weights that do not
     * @param bfloat16 whether layers compute in that
     * @param shards processes that the state is divided among; 1: every process has all of it
     */
    public static StateMemory of(long trained, long frozen, boolean bfloat16, int shards) {
        long share = Math.ceilDiv(trained, (long) shards);
        return new StateMemory(
                // Layers that compute in FLOAT32 read the master weights themselves, all of them.
                (bfloat16 ? share : trained) * FLOAT32,
                trained * FLOAT32,
                share * 2 * FLOAT32,
                frozen * FLOAT32,
                bfloat16 ? (trained + frozen) * BFLOAT16 : 0,
                share * SAVED);
    }
}
