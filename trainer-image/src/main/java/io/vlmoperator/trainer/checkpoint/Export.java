package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/**
 * Writes a model as a Hugging Face folder in LLaVA's layout. When an image has as many tokens as the encoder has patches the pool is the
 * identity, and the folder is a stock {@code LlavaForConditionalGeneration}; otherwise the same files say {@code "stock": false} and why,
 * and only this project reads them as they are meant.
 *
 * <p>Stock loaders take the output of the last block but one ({@code vision_feature_layer: -2}) and want to see the last block and the norm
 * behind it, which training never builds. They are written as they were imported, or else as zeros; nothing reads them.
 */
public final class Export {
    static final String MODEL = "vlm-operator.json";
    static final String WEIGHTS = "model.safetensors";
    /** Folder of the tokenizer that the model was trained with, before tokens of other libraries were added to it. */
    static final String TRAINED = "vlm-operator";

    static final String TRAINED_TOKENIZER = TRAINED + "/tokenizer.json";

    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Export() {}

    /**
     * What only this project knows of the folder.
     *
     * @param stock whether a stock LlavaForConditionalGeneration computes the same
     * @param reason why not
     * @param digest of the weights' file
     * @param type of the weights' elements; FLOAT32 when left out
     */
    record Description(ModelConfig model, Boolean stock, String reason, Long step, String digest, DType type) {}

    /**
     * How a model is written.
     *
     * @param type FLOAT32, or BFLOAT16 (rounded to nearest even; exact for weights that were BFLOAT16 before)
     * @param carried folder that may hold the tensors which training does not build
     */
    public record Options(DType type, Optional<Path> carried) {
        /** FLOAT32, from training. */
        public static final Options TRAINED = new Options(DType.FLOAT32, Optional.empty());
    }

    /**
     * Writes the whole model.
     *
     * @param tokenizer the {@code tokenizer.json} it was trained with
     * @param step of training
     * @return digest of the weights
     */
    public static String write(
            Path folder, VisionLanguageModel model, byte[] tokenizer, long step, Options options, Faults faults)
            throws IOException {
        ModelConfig config = model.config();
        faults.before("export", folder);
        ExportTokenizer added = new ExportTokenizer(tokenizer);
        added.complete(true);
        Optional<String> reason = notStock(config, added);
        if (reason.isPresent()) {
            added = new ExportTokenizer(tokenizer);
        }
        Path building = begin(folder);
        writeWeights(building.resolve(WEIGHTS), model, options);
        String digest = Durable.digest(building.resolve(WEIGHTS));
        put(
                building,
                "config.json",
                LlavaFiles.llava(config, added.id(ExportTokenizer.IMAGE), options.type(), added.ids()));
        put(building, "preprocessor_config.json", LlavaFiles.preprocessor(config.vision()));
        put(building, "processor_config.json", LlavaFiles.processor(config.vision()));
        writeTokenizer(building, added, config, true);
        Path trained = building.resolve(TRAINED_TOKENIZER);
        Files.createDirectories(trained.getParent());
        Files.write(trained, tokenizer);
        Description description =
                new Description(config, reason.isEmpty(), reason.orElse(null), step, digest, options.type());
        Files.write(building.resolve(MODEL), Json.bytes(description));
        finish(building, folder);
        return digest;
    }

    /** Why the model is no stock LLaVA model; empty if it is one. */
    private static Optional<String> notStock(ModelConfig config, ExportTokenizer tokenizer) {
        if (config.projector().tokensPerImage() != config.vision().patches()) {
            return Optional.of("an image has " + config.projector().tokensPerImage() + " tokens pooled from "
                    + config.vision().patches() + " patches; LLaVA does not pool");
        }
        OptionalInt image = tokenizer.id(ExportTokenizer.IMAGE);
        if (tokenizer.size() > config.language().vocabSize()) {
            return Optional.of("the vocabulary ends at " + (config.language().vocabSize() - 1)
                    + " and has no free id for " + ExportTokenizer.IMAGE + ", which would be " + image.getAsInt());
        }
        return Optional.empty();
    }

    /** Why a model of these sizes is no stock LLaVA model with this {@code tokenizer.json}; empty if it is one. */
    public static Optional<String> whyNotStock(ModelConfig config, byte[] tokenizer) throws IOException {
        ExportTokenizer added = new ExportTokenizer(tokenizer);
        added.complete(true);
        return notStock(config, added);
    }

    /** Writes the decoder alone, as a Qwen2 folder. */
    public static void writeText(Path folder, VisionLanguageModel model, byte[] tokenizer, DType type)
            throws IOException {
        ModelConfig config = model.config();
        ExportTokenizer added = new ExportTokenizer(tokenizer);
        added.complete(false);
        if (added.size() > config.language().vocabSize()) {
            added = new ExportTokenizer(tokenizer);
        }
        Path building = begin(folder);
        List<Parameter> parameters = model.weights().parameters().stream()
                .filter(p -> p.part() == Part.LANGUAGE)
                .toList();
        List<SafetensorsWriter.Item> items = parameters.stream()
                .map(p -> new SafetensorsWriter.Item(p.ownName(), type, p.shape()))
                .toList();
        try (SafetensorsWriter writer =
                new SafetensorsWriter(building.resolve(WEIGHTS), Map.of("format", "pt"), items)) {
            for (Parameter parameter : parameters) {
                writeParameter(writer, parameter.ownName(), model, parameter, type);
            }
            writer.finish();
        }
        put(building, "config.json", LlavaFiles.text(config.language(), type, added.ids()));
        writeTokenizer(building, added, config, false);
        finish(building, folder);
    }

    static Path begin(Path folder) throws IOException {
        Path building = folder.resolveSibling("." + folder.getFileName() + ".tmp");
        delete(building);
        return Files.createDirectories(building);
    }

    static void finish(Path building, Path folder) throws IOException {
        delete(folder);
        Durable.rename(building, folder);
    }

    private static void delete(Path folder) throws IOException {
        Durable.deleteFolder(folder.resolve(TRAINED));
        Durable.deleteFolder(folder);
    }

    private static void writeTokenizer(Path building, ExportTokenizer tokenizer, ModelConfig config, boolean images)
            throws IOException {
        Files.write(building.resolve(CheckpointWriter.TOKENIZER), tokenizer.json());
        put(
                building,
                "tokenizer_config.json",
                tokenizer.config(config.language().maxPositionEmbeddings(), images));
        put(building, "generation_config.json", LlavaFiles.generation(tokenizer.ids()));
        Files.write(
                building.resolve("chat_template.jinja"),
                ExportTokenizer.chatTemplate().getBytes(StandardCharsets.UTF_8));
    }

    private static void writeWeights(Path file, VisionLanguageModel model, Options options) throws IOException {
        DType type = options.type();
        try (Carried carried = Carried.open(options.carried())) {
            List<SafetensorsWriter.Item> items = new ArrayList<>();
            for (Parameter parameter : model.weights().parameters()) {
                items.add(new SafetensorsWriter.Item(parameter.name(), type, parameter.shape()));
            }
            List<SafetensorsWriter.Item> unused =
                    LlavaFiles.unusedVision(model.config().vision(), type);
            items.addAll(unused);
            try (SafetensorsWriter writer = new SafetensorsWriter(file, Map.of("format", "pt"), items);
                    Arena arena = Arena.ofConfined()) {
                for (Parameter parameter : model.weights().parameters()) {
                    writeParameter(writer, parameter.name(), model, parameter, type);
                }
                for (SafetensorsWriter.Item item : unused) {
                    Optional<MemorySegment> data = carried.find(item);
                    writer.write(item.name(), data.isPresent() ? data.get() : arena.allocate(item.bytes(), 8));
                }
                writer.finish();
            }
        }
    }

    /** Tensors of an earlier folder, if there is one. */
    private record Carried(Optional<Safetensors> file) implements AutoCloseable {
        static Carried open(Optional<Path> folder) throws IOException {
            return new Carried(folder.isPresent() ? Optional.of(Safetensors.open(folder.get())) : Optional.empty());
        }

        Optional<MemorySegment> find(SafetensorsWriter.Item item) {
            return file.flatMap(f -> f.find(item.name()))
                    .filter(e -> e.type() == item.type() && e.shape().equals(item.shape()))
                    .map(Safetensors.Entry::data);
        }

        @Override
        public void close() {
            file.ifPresent(Safetensors::close);
        }
    }

    private static void writeParameter(
            SafetensorsWriter writer, String name, VisionLanguageModel model, Parameter parameter, DType type)
            throws IOException {
        try (Scope scope = Scope.open()) {
            Tensor values = model.weights().view(parameter.name(), scope);
            Tensor written = type == DType.FLOAT32 ? values : scope.ops().cast(values, type);
            try (HostMemory memory = written.host(HostMemory.Access.READ)) {
                writer.write(name, memory.segment());
            }
        }
    }

    /** The names of the tensors of a whole model that was exported, for an importer: with those that only stock loaders want. */
    static Map<String, List<Long>> carriedShapes(ModelConfig config) {
        return LlavaFiles.unusedVision(config.vision(), DType.FLOAT32).stream()
                .collect(Collectors.toMap(
                        SafetensorsWriter.Item::name, SafetensorsWriter.Item::shape, (a, b) -> a, HashMap::new));
    }

    static void put(Path folder, String name, ObjectNode json) throws IOException {
        Files.write(
                folder.resolve(name), MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json));
    }
}
