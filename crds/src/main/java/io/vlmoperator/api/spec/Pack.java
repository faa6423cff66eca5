package io.vlmoperator.api.spec;

/**
 * How samples become rows. A job must ask for the same context length, tokens per image and tokenizer.
 *
 * @param contextLength tokens in a row, visual and text
 * @param tokensPerImage visual tokens of one image: a square
 * @param algorithm how rows are filled; None for conversations, which are batched and not packed
 * @param tokenizer folder that holds tokenizer.json
 */
public record Pack(Integer contextLength, Integer tokensPerImage, Algorithm algorithm, String tokenizer) {
    public Pack {
        contextLength = Defaults.or(contextLength, 4096);
        tokensPerImage = Defaults.or(tokensPerImage, 144);
        algorithm = Defaults.or(algorithm, Algorithm.FirstFitDecreasing);
    }

    /** How rows are filled. */
    public enum Algorithm {
        /** The longest sample first, into the first row with room (paper, algorithm 1). */
        FirstFitDecreasing,
        /** One sample a row. */
        None
    }
}
