package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** Opens a trained model: from a run folder, from one checkpoint's folder, or from an export. */
public final class ModelLoader {
    private static final long MAX_CONFIG_BYTES = 1 << 20;

    private ModelLoader() {}

    /**
     * @param model belongs to the scope it was opened in
     * @param tokenizer its {@code tokenizer.json}
     * @param step of training
     * @param digest of the checkpoint's manifest (of the weights' file for an export)
     * @param folder it was read from
     */
    public record Loaded(VisionLanguageModel model, Path tokenizer, long step, String digest, Path folder) {}

    /**
     * Where a model lies: verified, not read.
     *
     * @param manifest of a checkpoint; empty for a folder that was exported or imported
     * @param type of the weights' elements
     */
    public record Source(
            Path folder,
            Optional<Manifest> manifest,
            ModelConfig config,
            Path tokenizer,
            long step,
            String digest,
            DType type) {
        /** Whether it is a folder that was exported or imported, and no checkpoint. */
        public boolean isFolder() {
            return manifest.isEmpty();
        }
    }

    /**
     * Finds and verifies a checkpoint.
     *
     * @param location a run folder, a {@code step-...} folder, or an export
     * @param step the checkpoint of this step; without one the newest that is whole. Only for a run folder
     * @throws TrainerException InvalidConfiguration when there is none, InvalidData when the one asked for is damaged
     */
    public static Source find(Path location, Optional<Long> step) {
        try {
            if (Files.isRegularFile(location.resolve(Export.MODEL))) {
                return export(location);
            }
            if (location.getFileName() != null
                    && location.getFileName().toString().startsWith("step-")) {
                Path parent = location.toAbsolutePath().getParent();
                Optional<RunFolder> run =
                        Optional.ofNullable(parent.getParent()).map(RunFolder::at);
                RunFolder.Complete found = RunFolder.at(location, run)
                        .orElseThrow(() -> TrainerException.configuration(
                                location + " is no complete checkpoint: no manifest of its run's attempts is in it"));
                return verified(found);
            }
            RunFolder run = RunFolder.at(location);
            if (step.isPresent()) {
                return verified(run.complete(step.get())
                        .orElseThrow(() -> TrainerException.configuration("the run " + location
                                + " has no checkpoint of step " + step.get() + "; it has "
                                + run(run))));
            }
            Verifier.Newest newest = Verifier.newestWhole(run);
            return source(newest.checkpoint()
                    .orElseThrow(() -> newest.damaged().isEmpty()
                            ? TrainerException.configuration(location + " holds no checkpoint and no exported model")
                            : TrainerException.data(
                                    String.join("; ", newest.damaged().subList(0, 1)) + "; no other is left")));
        } catch (IOException e) {
            throw CheckpointWriter.failed("reading", location, e);
        }
    }

    /**
     * Reads the model.
     *
     * @param trained the parts that will be trained
     * @param tokensPerImage other than the checkpoint's, when given; the projector keeps its weights
     */
    public static Loaded open(Source source, Set<Part> trained, OptionalInt tokensPerImage, Scope scope) {
        ModelConfig config = source.config();
        try {
            if (tokensPerImage.isPresent()) {
                config = new ModelConfig(
                        config.language(), config.vision(), new ProjectorConfig(tokensPerImage.getAsInt()));
            }
            VisionLanguageModel model = VisionLanguageModel.create(scope, config, trained);
            if (source.manifest().isPresent()) {
                new CheckpointReader(source.folder(), source.manifest().get()).readWeights(model.weights());
            } else {
                readExport(source.folder(), model);
            }
            return new Loaded(model, source.tokenizer(), source.step(), source.digest(), source.folder());
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration(source.folder() + ": " + e.getMessage());
        } catch (IOException e) {
            throw CheckpointWriter.failed("reading", source.folder(), e);
        }
    }

    /**
     * Copies a checkpoint's optimizer state, whatever the ranges that its writers had.
     *
     * @param targets ranges whose moments are filled; their weights stay as they are
     */
    public static void readMoments(Source source, Weights weights, List<StateShard> targets) throws IOException {
        new CheckpointReader(source.folder(), source.manifest().orElseThrow()).readMoments(weights, targets);
    }

    /** Fills the weights of an open model, as {@link #open} does for a new one; whoever computes with rounded copies makes them anew. */
    public static void readWeights(Source source, Weights weights) throws IOException {
        new CheckpointReader(source.folder(), source.manifest().orElseThrow()).readWeights(weights);
    }

    private static String run(RunFolder run) {
        try {
            return run.complete().isEmpty()
                    ? "none"
                    : String.join(
                            ", ",
                            run.complete().stream()
                                    .limit(10)
                                    .map(c -> Long.toString(c.step()))
                                    .toList());
        } catch (IOException e) {
            return "none that can be read";
        }
    }

    private static Source verified(RunFolder.Complete found) throws IOException {
        Optional<String> problem = Verifier.problem(found);
        if (problem.isPresent()) {
            throw TrainerException.data("the checkpoint of step " + found.step() + " is damaged: " + problem.get());
        }
        return source(found);
    }

    private static Source source(RunFolder.Complete found) throws IOException {
        Manifest manifest = found.read();
        return new Source(
                found.folder(),
                Optional.of(manifest),
                manifest.model(),
                found.folder().resolve(CheckpointWriter.TOKENIZER),
                found.step(),
                Durable.digest(found.manifest()),
                DType.FLOAT32);
    }

    private static Source export(Path folder) throws IOException {
        Export.Description description =
                Json.read(folder.resolve(Export.MODEL), MAX_CONFIG_BYTES, Export.Description.class);
        String digest = Durable.digest(folder.resolve(Export.WEIGHTS));
        if (!digest.equals(description.digest())) {
            throw TrainerException.data(
                    folder.resolve(Export.WEIGHTS) + " is damaged: its SHA-256 is not that of " + Export.MODEL);
        }
        Path trained = folder.resolve(Export.TRAINED_TOKENIZER);
        return new Source(
                folder,
                Optional.empty(),
                description.model(),
                Files.isRegularFile(trained) ? trained : folder.resolve(CheckpointWriter.TOKENIZER),
                description.step(),
                digest,
                description.type() == null ? DType.FLOAT32 : description.type());
    }

    private static void readExport(Path folder, VisionLanguageModel model) throws IOException {
        try (Safetensors file = Safetensors.open(folder.resolve(Export.WEIGHTS))) {
            for (Parameter parameter : model.weights().parameters()) {
                Safetensors.Entry entry = file.get(parameter.name());
                if (!entry.shape().equals(parameter.shape())) {
                    throw TrainerException.configuration(folder + ": " + entry.name() + " has shape " + entry.shape()
                            + ", the model needs " + parameter.shape());
                }
                WeightCopy.into(model.weights(), parameter.name(), entry);
            }
        }
    }
}
