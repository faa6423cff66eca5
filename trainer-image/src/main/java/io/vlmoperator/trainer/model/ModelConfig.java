package io.vlmoperator.trainer.model;

import java.util.ArrayList;
import java.util.List;

/** Sizes of the whole model. */
public record ModelConfig(LanguageConfig language, VisionConfig vision, ProjectorConfig projector) {
    public ModelConfig {
        Config.require(
                projector.side() <= vision.patchesPerSide(),
                "tokensPerImage " + projector.tokensPerImage() + " exceeds the " + vision.patches()
                        + " patches of an image");
    }

    /** All parameters that a model of these sizes has, without making one. */
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(VisionTransformer.parameters(vision));
        all.addAll(AveragePoolProjector.parameters(vision.hiddenSize(), language.hiddenSize()));
        all.addAll(LanguageModel.parameters(language));
        return List.copyOf(all);
    }
}
