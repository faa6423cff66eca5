package io.vlmoperator.trainer.train;

import io.vlmoperator.api.spec.Language;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Vision;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import java.io.IOException;
import java.util.EnumSet;
import java.util.Set;

/** What a manifest says about a model: its sizes and the parts that learn. The trainer builds by it, and plans are made by it. */
public final class ModelSizes {
    private static final double SIGLIP_LAYER_NORM_EPS = 1e-6;
    private static final int MIN_POSITIONS = 4096;

    private ModelSizes() {}

    /** Tells the sizes of the models that a manifest names by their location. */
    public interface Named {
        /** @throws IOException when {@code config.json} can't be read */
        LanguageConfig language(String location) throws IOException;

        /** @throws IOException when {@code config.json} can't be read */
        VisionConfig vision(String location, int featureLayer, VisionConfig.Activation activation) throws IOException;

        /** By {@code config.json} of Hugging Face folders. */
        static Named folders(Locations locations) {
            return new Named() {
                @Override
                public LanguageConfig language(String location) throws IOException {
                    return HuggingFace.languageConfig(locations.resolve(location));
                }

                @Override
                public VisionConfig vision(String location, int featureLayer, VisionConfig.Activation activation)
                        throws IOException {
                    return HuggingFace.visionConfig(locations.resolve(location), featureLayer, activation);
                }
            };
        }
    }

    /**
     * The sizes of a job that begins with a new model.
     *
     * @throws TrainerException InvalidConfiguration when a size is missing
     * @throws IllegalArgumentException when sizes do not fit each other
     */
    public static ModelConfig of(PretrainJobSpec spec, Named named) throws IOException {
        Language language = spec.model().language();
        Vision vision = spec.model().vision();
        VisionConfig.Activation activation =
                VisionConfig.Activation.valueOf(vision.activation().name());
        return new ModelConfig(
                language.location() != null
                        ? named.language(language.location())
                        : language(language.config(), spec.batch().contextLength()),
                vision.location() != null
                        ? named.vision(vision.location(), vision.featureLayer(), activation)
                        : vision(vision.config(), vision.featureLayer(), activation),
                new ProjectorConfig(spec.tokensPerImage()));
    }

    /** The parts that learn. */
    public static Set<Part> trained(TrainingSpec spec) {
        Set<Part> parts = EnumSet.noneOf(Part.class);
        for (io.vlmoperator.api.spec.Part part : spec.trainedParts()) {
            parts.add(
                    switch (part) {
                        case Vision -> Part.VISION;
                        case Projector -> Part.PROJECTOR;
                        case Language -> Part.LANGUAGE;
                    });
        }
        return parts;
    }

    private static LanguageConfig language(Language.Config config, int contextLength) {
        if (config == null) {
            throw TrainerException.configuration("spec.model.language needs a location or a config with sizes");
        }
        return new LanguageConfig(
                present(config.hiddenSize(), "language.config.hiddenSize"),
                present(config.intermediateSize(), "language.config.intermediateSize"),
                present(config.numHiddenLayers(), "language.config.numHiddenLayers"),
                present(config.numAttentionHeads(), "language.config.numAttentionHeads"),
                present(config.numKeyValueHeads(), "language.config.numKeyValueHeads"),
                present(config.vocabSize(), "language.config.vocabSize"),
                config.ropeTheta(),
                config.rmsNormEps(),
                config.tieWordEmbeddings(),
                Math.max(MIN_POSITIONS, contextLength));
    }

    private static VisionConfig vision(Vision.Config config, int featureLayer, VisionConfig.Activation activation) {
        if (config == null) {
            throw TrainerException.configuration("spec.model.vision needs a location or a config with sizes");
        }
        return new VisionConfig(
                present(config.imageSize(), "vision.config.imageSize"),
                present(config.patchSize(), "vision.config.patchSize"),
                present(config.hiddenSize(), "vision.config.hiddenSize"),
                present(config.intermediateSize(), "vision.config.intermediateSize"),
                present(config.numHiddenLayers(), "vision.config.numHiddenLayers"),
                present(config.numAttentionHeads(), "vision.config.numAttentionHeads"),
                SIGLIP_LAYER_NORM_EPS,
                featureLayer,
                activation);
    }

    private static int present(Integer value, String field) {
        if (value == null) {
            throw TrainerException.configuration("spec.model." + field + " is missing");
        }
        return value;
    }
}
