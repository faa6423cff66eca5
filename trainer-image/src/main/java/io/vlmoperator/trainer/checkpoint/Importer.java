package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Makes a folder that every command of the trainer takes as a checkpoint out of weights from elsewhere: Hugging Face folders of the parts, a
 * LLaVA folder, or the released Open-Qwen2VL archive. Tensors are copied byte for byte, from mapped files, and keep their element type;
 * nothing is held in memory.
 */
public final class Importer {
    private static final int MAX_PROBLEMS = 8;

    /** Where the weights come from. */
    public sealed interface Source {}

    /**
     * The parts, each in a folder of its own (the projector may be a file).
     *
     * @param language Qwen2
     * @param vision SigLIP
     * @param projector two layers
     */
    public record Parts(Path language, Path vision, Path projector) implements Source {}

    /** A folder of {@code LlavaForConditionalGeneration} with a Qwen2 decoder and a SigLIP encoder. */
    public record Llava(Path folder) implements Source {}

    /**
     * The released archive: decoder and projector.
     *
     * @param archive of {@code torch.save}
     * @param language folder with the decoder's {@code config.json}
     * @param vision the SigLIP folder, unless the archive has an encoder of its own; its {@code config.json} in any case
     */
    public record Released(Path archive, Path language, Path vision) implements Source {}

    /**
     * What the weights do not say.
     *
     * @param tokenizer folder with {@code tokenizer.json}
     * @param tokensPerImage of the projector's pool; empty for as many as there are patches
     * @param activation of the encoder; empty for the one of its {@code config.json} (for the released archive: Erf, as its code runs)
     */
    public record Settings(
            Path tokenizer, Optional<Integer> tokensPerImage, Optional<VisionConfig.Activation> activation) {}

    /** A tensor under the name it gets, and where it lies. */
    private record Tensor(DType type, List<Long> shape, MemorySegment data, String origin) {}

    private final Map<String, Tensor> found = new LinkedHashMap<>();
    private final List<AutoCloseable> open = new ArrayList<>();

    private Importer() {}

    /**
     * Writes the folder.
     *
     * @param to must not exist, or be an earlier folder of the same kind
     * @throws TrainerException InvalidConfiguration naming missing, surplus and misshapen tensors with both shapes
     */
    public static ModelConfig run(Source source, Settings settings, Path to) {
        if (Files.exists(to) && !Files.isRegularFile(to.resolve(Export.MODEL))) {
            throw TrainerException.configuration(
                    to + " exists and is no imported or exported model; name another folder");
        }
        Path tokenizer = settings.tokenizer().resolve(CheckpointWriter.TOKENIZER);
        if (!Files.isRegularFile(tokenizer)) {
            throw TrainerException.configuration("there is no tokenizer at " + tokenizer + "; name its folder");
        }
        Importer importer = new Importer();
        try {
            return importer.read(source, settings, tokenizer, to);
        } catch (SafetensorsException | IllegalArgumentException e) {
            throw TrainerException.configuration("import: " + e.getMessage());
        } catch (IOException e) {
            throw CheckpointWriter.failed("importing to", to, e);
        } finally {
            importer.close();
        }
    }

    private ModelConfig read(Source source, Settings settings, Path tokenizer, Path to) throws IOException {
        ModelConfig config = switch (source) {
            case Parts parts -> {
                add(open(parts.language()).entries(), Part.LANGUAGE.prefix(), Map.of());
                add(open(parts.vision()).entries(), Part.VISION.prefix(), Map.of());
                add(
                        open(parts.projector()).entries(),
                        Part.PROJECTOR.prefix(),
                        Map.of("fc1.", "linear_1.", "fc2.", "linear_2."));
                yield config(parts.language(), parts.vision(), settings, Optional.empty());
            }
            case Llava llava -> {
                for (Map.Entry<String, Safetensors.Entry> tensor :
                        open(llava.folder()).entries().entrySet()) {
                    put(llavaName(tensor.getKey()), tensor.getValue());
                }
                LlavaConfig.requireSupported(llava.folder());
                yield config(llava.folder(), llava.folder(), settings, Optional.empty());
            }
            case Released released -> {
                TorchArchive archive = TorchArchive.open(released.archive());
                open.add(archive);
                boolean ownVision = ReleasedNames.hasVision(archive.entries().keySet());
                if (!ownVision) {
                    add(open(released.vision()).entries(), Part.VISION.prefix(), Map.of());
                }
                for (Map.Entry<String, Safetensors.Entry> tensor :
                        archive.entries().entrySet()) {
                    ReleasedNames.of(tensor.getKey()).forEach(place -> put(place, tensor.getValue()));
                }
                yield config(
                        released.language(), released.vision(), settings, Optional.of(VisionConfig.Activation.Erf));
            }
        };
        List<Item> items = fit(config);
        write(config, items, tokenizer, to);
        return config;
    }

    private static ModelConfig config(
            Path language, Path vision, Settings settings, Optional<VisionConfig.Activation> usual) throws IOException {
        VisionConfig.Activation activation;
        if (settings.activation().or(() -> usual).isPresent()) {
            activation = settings.activation().or(() -> usual).get();
        } else {
            activation = HuggingFace.visionActivation(vision);
        }
        VisionConfig sizes = HuggingFace.visionConfig(vision, LlavaFiles.FEATURE_LAYER, activation);
        return new ModelConfig(
                HuggingFace.languageConfig(language),
                sizes,
                new ProjectorConfig(settings.tokensPerImage().orElse(sizes.patches())));
    }

    private Safetensors open(Path location) throws IOException {
        Safetensors file = Safetensors.open(location);
        open.add(file);
        return file;
    }

    private void add(Map<String, Safetensors.Entry> tensors, String prefix, Map<String, String> renamed) {
        tensors.forEach((name, entry) -> {
            String own = name;
            for (Map.Entry<String, String> change : renamed.entrySet()) {
                own = own.startsWith(change.getKey())
                        ? change.getValue() + own.substring(change.getKey().length())
                        : own;
            }
            put(prefix + (own.startsWith(prefix) ? own.substring(prefix.length()) : own), entry);
        });
    }

    private void put(String name, Safetensors.Entry entry) {
        put(new ReleasedNames.Place(name, -1), entry);
    }

    private void put(ReleasedNames.Place place, Safetensors.Entry entry) {
        List<Long> shape = entry.shape();
        MemorySegment data = entry.data();
        if (place.part() >= 0 && !shape.isEmpty() && shape.getFirst() % 3 == 0) {
            shape = new ArrayList<>(shape);
            shape.set(0, shape.getFirst() / 3);
            data = data.asSlice(place.part() * (data.byteSize() / 3), data.byteSize() / 3);
        } else if (place.name().endsWith("position_embedding.weight") && shape.size() == 3 && shape.getFirst() == 1) {
            shape = shape.subList(1, 3);
        }
        found.put(place.name(), new Tensor(entry.type(), List.copyOf(shape), data, entry.name()));
    }

    /** transformers has had two ways to name the parts of a LLaVA model; ours is the one of the files on the hub. */
    private static String llavaName(String name) {
        if (name.equals("lm_head.weight")) {
            return "language_model.lm_head.weight";
        }
        if (name.startsWith("model.language_model.")) {
            return "language_model.model." + name.substring("model.language_model.".length());
        }
        return name.startsWith("model.") ? name.substring("model.".length()) : name;
    }

    private record Item(String name, Tensor tensor) {}

    /** The tensors of the model in its order, and those that only stock loaders want, if they are there. */
    private List<Item> fit(ModelConfig config) {
        List<String> problems = new ArrayList<>();
        List<Item> items = new ArrayList<>();
        Set<String> wanted = new HashSet<>();
        for (Parameter parameter : VisionLanguageModel.parameters(config)) {
            wanted.add(parameter.name());
            Tensor tensor = found.get(parameter.name());
            if (tensor == null) {
                problems.add(parameter.name() + " is missing");
            } else if (!tensor.shape().equals(parameter.shape())) {
                problems.add(
                        tensor.origin() + " has shape " + tensor.shape() + ", the model needs " + parameter.shape());
            } else if (tensor.type() != DType.FLOAT32 && tensor.type() != DType.BFLOAT16) {
                problems.add(tensor.origin() + " holds " + tensor.type() + ", F32 or BF16 is needed");
            } else {
                items.add(new Item(parameter.name(), tensor));
            }
        }
        Map<String, List<Long>> carried = Export.carriedShapes(config);
        found.forEach((name, tensor) -> {
            if (carried.containsKey(name) && tensor.shape().equals(carried.get(name))) {
                items.add(new Item(name, tensor));
            } else if (!wanted.contains(name) && !carried.containsKey(name) && !unused(name)) {
                problems.add(tensor.origin() + " is not part of the model");
            }
        });
        Tensor head = found.get(Part.LANGUAGE.prefix() + "lm_head.weight");
        Tensor embedding = found.get(Part.LANGUAGE.prefix() + "model.embed_tokens.weight");
        if (config.language().tieWordEmbeddings()
                && head != null
                && embedding != null
                && (head.data().byteSize() != embedding.data().byteSize()
                        || head.data().mismatch(embedding.data()) >= 0)) {
            problems.add(head.origin() + " differs from " + embedding.origin()
                    + ", but config.json says that they are tied (tie_word_embeddings)");
        }
        if (!problems.isEmpty()) {
            int more = problems.size() - MAX_PROBLEMS;
            throw TrainerException.configuration("import: the weights do not fit the configuration: "
                    + problems.stream().limit(MAX_PROBLEMS).collect(Collectors.joining("; "))
                    + (more > 0 ? "; and " + more + " more" : ""));
        }
        return items;
    }

    private static boolean unused(String name) {
        for (Part part : Part.values()) {
            if (name.startsWith(part.prefix())) {
                return HuggingFace.isUnused(part, name.substring(part.prefix().length()));
            }
        }
        return false;
    }

    private static void write(ModelConfig config, List<Item> items, Path tokenizer, Path to) throws IOException {
        Path building = Export.begin(to);
        List<SafetensorsWriter.Item> header = items.stream()
                .map(i -> new SafetensorsWriter.Item(
                        i.name(), i.tensor().type(), i.tensor().shape()))
                .toList();
        try (SafetensorsWriter writer =
                new SafetensorsWriter(building.resolve(Export.WEIGHTS), Map.of("format", "pt"), header)) {
            for (Item item : items) {
                writer.write(item.name(), item.tensor().data());
                WeightCopy.release(item.tensor().data());
            }
            writer.finish();
        }
        Map<DType, Long> bytes = new HashMap<>();
        items.forEach(i -> bytes.merge(i.tensor().type(), i.tensor().data().byteSize(), Long::sum));
        DType type = bytes.size() == 1 ? bytes.keySet().iterator().next() : DType.FLOAT32;
        Export.Description description = new Export.Description(
                config,
                false,
                "imported weights; vlm-trainer export writes a stock folder",
                0L,
                Durable.digest(building.resolve(Export.WEIGHTS)),
                type);
        Files.write(building.resolve(Export.MODEL), Json.bytes(description));
        Files.copy(tokenizer, building.resolve(CheckpointWriter.TOKENIZER));
        Export.finish(building, to);
    }

    private void close() {
        for (AutoCloseable file : open) {
            try {
                file.close();
            } catch (Exception e) {
                throw new IllegalStateException("closing a mapped file", e);
            }
        }
    }
}
