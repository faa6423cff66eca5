package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Reads Hugging Face folders: Qwen2 decoders and SigLIP image encoders. */
public final class HuggingFace {
    private static final long MAX_CONFIG_BYTES = 1 << 20;
    private static final int MAX_PROBLEMS = 8;

    /** Parts of a SigLIP folder that the feature does not use; blocks behind the feature come on top. */
    private static final List<String> UNUSED_VISION = List.of(
            "vision_model.head.",
            "vision_model.post_layernorm.",
            "vision_model.embeddings.position_ids",
            "text_model.",
            "attn_pool.", // timm's names from here on
            "norm.",
            "fc_norm.",
            "logit_scale",
            "logit_bias");

    /** Defaults of transformers' Qwen2Config. */
    private static final Map<String, Integer> TEXT_DEFAULTS = Map.of(
            "hidden_size", 4096,
            "intermediate_size", 22016,
            "num_hidden_layers", 32,
            "num_attention_heads", 32,
            "num_key_value_heads", 32,
            "vocab_size", 151936,
            "max_position_embeddings", 32768);

    /** Defaults of transformers' SiglipVisionConfig. */
    private static final Map<String, Integer> VISION_DEFAULTS = Map.of(
            "image_size", 224,
            "patch_size", 16,
            "hidden_size", 768,
            "intermediate_size", 3072,
            "num_hidden_layers", 12,
            "num_attention_heads", 12);

    private static final Pattern VISION_BLOCK = Pattern.compile("vision_model\\.encoder\\.layers\\.(\\d+)\\..*");

    private static final Pattern TIMM_BLOCK = Pattern.compile("blocks\\.(\\d+)\\..*");
    private static final String TIMM_MARK = "patch_embed.proj.weight";

    private HuggingFace() {}

    /** The decoder's sizes from {@code FOLDER/config.json}, which may hold them under {@code text_config}. */
    public static LanguageConfig languageConfig(Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        JsonNode whole = read(file);
        JsonNode json = whole.has("text_config") ? withDefaults(whole.path("text_config"), TEXT_DEFAULTS) : whole;
        require(
                file,
                "qwen2".equals(json.path("model_type").asText()),
                "model_type is '" + json.path("model_type").asText() + "', qwen2 is read");
        require(
                file,
                "silu".equals(json.path("hidden_act").asText("silu")),
                "hidden_act " + json.path("hidden_act") + ", silu is supported");
        require(
                file,
                json.path("rope_scaling").isNull() || json.path("rope_scaling").isMissingNode(),
                "rope_scaling is not supported");
        require(file, !json.path("use_sliding_window").asBoolean(false), "use_sliding_window is not supported");
        return new LanguageConfig(
                integer(file, json, "hidden_size"),
                integer(file, json, "intermediate_size"),
                integer(file, json, "num_hidden_layers"),
                integer(file, json, "num_attention_heads"),
                integer(file, json, "num_key_value_heads"),
                integer(file, json, "vocab_size"),
                json.path("rope_theta").asDouble(10_000),
                json.path("rms_norm_eps").asDouble(1e-6),
                json.path("tie_word_embeddings").asBoolean(false),
                integer(file, json, "max_position_embeddings"));
    }

    /**
     * The encoder's sizes from {@code FOLDER/config.json}, which may hold them under {@code vision_config}.
     *
     * @param featureLayer as in {@link VisionConfig}
     * @param activation as in {@link VisionConfig}; the file's own is the caller's to prefer or not
     */
    public static VisionConfig visionConfig(Path folder, int featureLayer, VisionConfig.Activation activation)
            throws IOException {
        Path file = folder.resolve("config.json");
        JsonNode json = visionNode(file);
        return new VisionConfig(
                integer(file, json, "image_size"),
                integer(file, json, "patch_size"),
                integer(file, json, "hidden_size"),
                integer(file, json, "intermediate_size"),
                integer(file, json, "num_hidden_layers"),
                integer(file, json, "num_attention_heads"),
                json.path("layer_norm_eps").asDouble(1e-6),
                featureLayer,
                activation);
    }

    /** The activation that {@code FOLDER/config.json} names. */
    public static VisionConfig.Activation visionActivation(Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        String name = visionNode(file).path("hidden_act").asText("gelu_pytorch_tanh");
        return activation(name)
                .orElseThrow(() -> new SafetensorsException(
                        file, "hidden_act '" + name + "'; gelu and gelu_pytorch_tanh are supported"));
    }

    /** The activation of a Hugging Face name. */
    public static java.util.Optional<VisionConfig.Activation> activation(String name) {
        return switch (name) {
            case "gelu" -> java.util.Optional.of(VisionConfig.Activation.Erf);
            case "gelu_pytorch_tanh" -> java.util.Optional.of(VisionConfig.Activation.Tanh);
            default -> java.util.Optional.empty();
        };
    }

    /** A model's folder leaves out what equals its library's default. */
    private static JsonNode withDefaults(JsonNode part, Map<String, Integer> defaults) {
        ObjectNode all = JsonNodeFactory.instance.objectNode();
        defaults.forEach(all::put);
        part.properties().forEach(field -> all.set(field.getKey(), field.getValue()));
        return all;
    }

    private static JsonNode visionNode(Path file) throws IOException {
        JsonNode json = read(file);
        JsonNode vision = json.has("vision_config") ? withDefaults(json.path("vision_config"), VISION_DEFAULTS) : json;
        String type = vision.path("model_type").asText();
        require(file, type.equals("siglip_vision_model"), "model_type is '" + type + "', siglip_vision_model is read");
        return vision;
    }

    /**
     * Copies a part's weights from its folder or file, widening BF16 exactly.
     *
     * @throws SafetensorsException naming missing, surplus and misshapen tensors, with both shapes; nothing has been changed then
     */
    public static void load(Path location, Weights weights, Part part) throws IOException {
        try (Safetensors file = Safetensors.open(location)) {
            List<Parameter> wanted =
                    weights.parameters().stream().filter(p -> p.part() == part).toList();
            requireFit(location, file, wanted, part);
            for (Parameter parameter : wanted) {
                Source source = source(file, parameter);
                Safetensors.Entry entry = file.get(source.name());
                WeightCopy.into(weights, parameter.name(), source.slice(entry), entry.type());
            }
        }
    }

    /**
     * Where a parameter lies in a file.
     *
     * @param part which third of a joined tensor; -1 for the whole
     */
    private record Source(String name, int part) {
        List<Long> shape(Safetensors.Entry entry) {
            List<Long> shape = new ArrayList<>(entry.shape());
            if (part >= 0 && !shape.isEmpty() && shape.getFirst() % 3 == 0) {
                shape.set(0, shape.getFirst() / 3);
            }
            return shape;
        }

        MemorySegment slice(Safetensors.Entry entry) {
            long bytes = entry.data().byteSize() / 3;
            return part < 0 ? entry.data() : entry.data().asSlice(part * bytes, bytes);
        }
    }

    private static void requireFit(Path location, Safetensors file, List<Parameter> wanted, Part part)
            throws IOException {
        List<String> problems = new ArrayList<>();
        Set<String> known = new HashSet<>();
        for (Parameter parameter : wanted) {
            Source source = source(file, parameter);
            String name = source.name();
            known.add(name);
            file.find(name)
                    .ifPresentOrElse(
                            entry -> {
                                if (!sameShape(source.shape(entry), parameter.shape())) {
                                    problems.add(name + " has shape " + entry.shape() + ", the model needs "
                                            + (source.part() < 0 ? "" : "three times ") + parameter.shape());
                                } else if (entry.type() != DType.FLOAT32 && entry.type() != DType.BFLOAT16) {
                                    problems.add(name + " holds " + entry.type() + ", F32 or BF16 is needed");
                                }
                            },
                            () -> problems.add(name + " is missing"));
        }
        Set<String> names = wanted.stream().map(Parameter::ownName).collect(Collectors.toSet());
        for (String name : file.entries().keySet()) {
            if (!known.contains(name) && !unused(part, name, names)) {
                problems.add(name + " is not part of the model");
            }
        }
        if (!problems.isEmpty()) {
            int more = problems.size() - MAX_PROBLEMS;
            throw new SafetensorsException(
                    location,
                    "does not fit the model: "
                            + problems.stream().limit(MAX_PROBLEMS).collect(Collectors.joining("; "))
                            + (more > 0 ? "; and " + more + " more" : ""));
        }
    }

    /** timm's table of positions has a leading dimension of 1. */
    private static boolean sameShape(List<Long> found, List<Long> wanted) {
        return found.equals(wanted)
                || (found.size() == wanted.size() + 1
                        && found.getFirst() == 1
                        && found.subList(1, found.size()).equals(wanted));
    }

    /** The projector's own file may name its layers as the paper's code does, and the encoder's its blocks as timm. */
    private static Source source(Safetensors file, Parameter parameter) {
        String name = parameter.ownName();
        if (file.find(name).isPresent()) {
            return new Source(name, -1);
        }
        if (parameter.part() == Part.PROJECTOR) {
            return new Source(name.replace("linear_1.", "fc1.").replace("linear_2.", "fc2."), -1);
        }
        if (parameter.part() == Part.VISION && file.find(TIMM_MARK).isPresent()) {
            return TimmNames.of(name.substring("vision_model.".length()))
                    .map(place -> new Source(place.name(), place.part()))
                    .orElse(new Source(name, -1));
        }
        return new Source(name, -1);
    }

    /** Whether a tensor of a part's folder is known and never used, whatever the number of layers in use. */
    static boolean isUnused(Part part, String name) {
        return unused(part, name, Set.of());
    }

    private static boolean unused(Part part, String name, Set<String> wanted) {
        return switch (part) {
            case VISION -> {
                var block = VISION_BLOCK.matcher(name);
                var timmBlock = TIMM_BLOCK.matcher(name);
                yield UNUSED_VISION.stream().anyMatch(name::startsWith)
                        || (timmBlock.matches()
                                && !wanted.contains(
                                        "vision_model.encoder.layers." + timmBlock.group(1) + ".layer_norm1.weight"))
                        || (block.matches()
                                && !wanted.contains(
                                        "vision_model.encoder.layers." + block.group(1) + ".layer_norm1.weight"));
            }
            // A tied head is the embedding, stored twice by some writers; inverse frequencies are computed.
            case LANGUAGE -> name.equals("lm_head.weight") || name.endsWith("rotary_emb.inv_freq");
            case PROJECTOR -> false;
        };
    }

    private static JsonNode read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new SafetensorsException(file, "is missing; a Hugging Face folder has it");
        }
        if (Files.size(file) > MAX_CONFIG_BYTES) {
            throw new SafetensorsException(file, "longer than " + MAX_CONFIG_BYTES + " bytes");
        }
        try {
            JsonNode json = new ObjectMapper().readTree(Files.readAllBytes(file));
            require(file, json.isObject(), "is no JSON object");
            return json;
        } catch (JsonProcessingException e) {
            throw new SafetensorsException(file, "is not JSON: " + e.getOriginalMessage(), e);
        }
    }

    private static int integer(Path file, JsonNode json, String name) throws SafetensorsException {
        JsonNode value = json.path(name);
        require(
                file,
                value.isInt(),
                name + " is " + (value.isMissingNode() ? "missing" : value) + ", a whole number is needed");
        return value.asInt();
    }

    private static void require(Path file, boolean holds, String problem) throws SafetensorsException {
        if (!holds) {
            throw new SafetensorsException(file, problem);
        }
    }
}
