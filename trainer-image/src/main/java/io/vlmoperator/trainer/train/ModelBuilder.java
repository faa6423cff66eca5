package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Language;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Vision;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.SafetensorsException;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/** Makes the model that a run begins with: from sizes and a seed, from Hugging Face folders, or from a checkpoint. */
final class ModelBuilder {
    private static final double SIGLIP_LAYER_NORM_EPS = 1e-6;

    private final Locations locations;
    private final Consumer<ModelConfig> check;

    /** @param check is told the sizes before memory is taken for them */
    ModelBuilder(Locations locations, Consumer<ModelConfig> check) {
        this.locations = locations;
        this.check = check;
    }

    /**
     * @param tokenizer its {@code tokenizer.json}
     */
    record Built(VisionLanguageModel model, Path tokenizer) {}

    static Set<Part> trained(TrainingSpec spec) {
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

    /** The model before the first step. */
    Built fresh(FrozenJob job, Scope scope) {
        return job.pretrain() != null ? pretrained(job.pretrain(), scope) : finetuned(job, job.sft(), scope);
    }

    private Built pretrained(PretrainJobSpec spec, Scope scope) {
        Language language = spec.model().language();
        Vision vision = spec.model().vision();
        if (language.tokenizer() == null) {
            throw TrainerException.configuration(
                    "spec.model.language.tokenizer is missing: name the folder that holds tokenizer.json");
        }
        Optional<Path> languageFolder = Optional.ofNullable(language.location()).map(locations::resolve);
        Optional<Path> visionFolder = Optional.ofNullable(vision.location()).map(locations::resolve);
        try {
            LanguageConfig languageSizes = languageFolder.isPresent()
                    ? HuggingFace.languageConfig(languageFolder.get())
                    : sizes(language.config(), spec.batch().contextLength());
            VisionConfig.Activation activation =
                    VisionConfig.Activation.valueOf(vision.activation().name());
            VisionConfig visionSizes = visionFolder.isPresent()
                    ? HuggingFace.visionConfig(visionFolder.get(), vision.featureLayer(), activation)
                    : sizes(vision.config(), vision.featureLayer(), activation);
            ModelConfig config =
                    new ModelConfig(languageSizes, visionSizes, new ProjectorConfig(spec.tokensPerImage()));
            check.accept(config);
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, trained(spec));
            Set<Part> random = EnumSet.noneOf(Part.class);
            if (languageFolder.isPresent()) {
                HuggingFace.load(languageFolder.get(), model.weights(), Part.LANGUAGE);
            } else {
                random.add(Part.LANGUAGE);
            }
            if (visionFolder.isPresent()) {
                HuggingFace.load(visionFolder.get(), model.weights(), Part.VISION);
            } else {
                random.add(Part.VISION);
            }
            if (random.isEmpty()) {
                model.initializeProjectorAsPaper();
            } else {
                random.add(Part.PROJECTOR);
                model.initialize(random, spec.seed());
            }
            return new Built(model, tokenizer(locations.resolve(language.tokenizer())));
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        } catch (SafetensorsException e) {
            throw TrainerException.configuration("spec.model: " + e.getMessage());
        } catch (IOException e) {
            throw TrainerException.storage("reading the model: " + e.getMessage(), e);
        }
    }

    private Built finetuned(FrozenJob job, SFTJobSpec spec, Scope scope) {
        if (job.checkpoint() == null) {
            throw TrainerException.configuration("the frozen job of an SFTJob has no checkpoint to start from");
        }
        ModelLoader.Source source = ModelLoader.find(
                locations.resolve(job.checkpoint().location()),
                Optional.ofNullable(job.checkpoint().step()));
        String wanted = job.checkpoint().digest();
        if (wanted != null && !wanted.equals(source.digest())) {
            throw TrainerException.configuration("the checkpoint at "
                    + job.checkpoint().location() + " has digest " + source.digest() + ", but " + wanted
                    + " was asked for; it has been replaced since");
        }
        check.accept(source.config());
        ModelLoader.Loaded loaded =
                ModelLoader.open(source, trained(spec), OptionalInt.of(spec.tokensPerImage()), scope);
        return new Built(loaded.model(), tokenizer(loaded.tokenizer()));
    }

    private static Path tokenizer(Path location) {
        Path file = Files.isDirectory(location) ? location.resolve("tokenizer.json") : location;
        if (!Files.isRegularFile(file)) {
            throw TrainerException.configuration("there is no tokenizer at " + file);
        }
        return file;
    }

    private static LanguageConfig sizes(Language.Config config, int contextLength) {
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
                Math.max(4096, contextLength));
    }

    private static VisionConfig sizes(Vision.Config config, int featureLayer, VisionConfig.Activation activation) {
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
