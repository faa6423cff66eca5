package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Language;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.Vision;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.HuggingFace;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.SafetensorsException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
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
            ModelConfig config = ModelSizes.of(spec, ModelSizes.Named.folders(locations));
            check.accept(config);
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, ModelSizes.trained(spec));
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
                ModelLoader.open(source, ModelSizes.trained(spec), OptionalInt.of(spec.tokensPerImage()), scope);
        return new Built(loaded.model(), tokenizer(loaded.tokenizer()));
    }

    private static Path tokenizer(Path location) {
        Path file = Files.isDirectory(location) ? location.resolve("tokenizer.json") : location;
        if (!Files.isRegularFile(file)) {
            throw TrainerException.configuration("there is no tokenizer at " + file);
        }
        return file;
    }
}
