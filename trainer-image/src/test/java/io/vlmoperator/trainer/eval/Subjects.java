package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.Tokenizer;
import java.util.EnumSet;
import java.util.Set;

/** Small models with random weights, the same ones each time. */
final class Subjects {
    private Subjects() {}

    /** @param longest positions that the model reads */
    static Subject small(Scope scope, Tokenizer tokenizer, int vocabulary, int longest) {
        ModelConfig config = new ModelConfig(
                new LanguageConfig(32, 64, 2, 4, 2, vocabulary, 10_000, 1e-6, true, longest),
                new VisionConfig(Tables.SIDE, 8, 32, 64, 2, 4, 1e-6, -1, VisionConfig.Activation.Tanh),
                new ProjectorConfig(4));
        VisionLanguageModel model = VisionLanguageModel.create(scope, config, Set.of());
        model.initialize(EnumSet.allOf(Part.class), 5);
        return new Subject(model, tokenizer, 12, "sha256:model");
    }
}
