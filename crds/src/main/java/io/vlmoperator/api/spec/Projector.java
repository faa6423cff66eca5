package io.vlmoperator.api.spec;

/** Average pooling to a square of tokens, then two linear layers with GELU between them. */
public record Projector(Integer tokensPerImage) {
    public Projector {
        tokensPerImage = Defaults.or(tokensPerImage, 144);
    }
}
