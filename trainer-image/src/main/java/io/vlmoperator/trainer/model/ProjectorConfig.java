package io.vlmoperator.trainer.model;

/**
 * The projector's only size of its own. Its weights do not depend on it, so one projector serves several.
 *
 * @param tokensPerImage visual tokens of an image, a square number
 */
public record ProjectorConfig(int tokensPerImage) {
    public ProjectorConfig {
        Config.positive("tokensPerImage", tokensPerImage);
        int side = (int) Math.round(Math.sqrt(tokensPerImage));
        Config.require(side * side == tokensPerImage, "tokensPerImage " + tokensPerImage + " is no square number");
    }

    /** Tokens along one side. */
    public int side() {
        return (int) Math.round(Math.sqrt(tokensPerImage));
    }
}
