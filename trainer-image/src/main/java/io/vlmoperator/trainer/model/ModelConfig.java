package io.vlmoperator.trainer.model;

/** Sizes of the whole model. */
public record ModelConfig(LanguageConfig language, VisionConfig vision, ProjectorConfig projector) {
    public ModelConfig {
        Config.require(
                projector.side() <= vision.patchesPerSide(),
                "tokensPerImage " + projector.tokensPerImage() + " exceeds the " + vision.patches()
                        + " patches of an image");
    }
}
