package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Writes a model as a Hugging Face folder in LLaVA's layout. When an image has as many tokens as the encoder has patches the pool is the
 * identity, and the folder is a stock {@code LlavaForConditionalGeneration}; otherwise the same files say {@code "stock": false} and why,
 * and only this project reads them as they are meant.
 *
 * <p>The encoder ends at the block whose output is used: {@code num_hidden_layers} counts those, {@code vision_feature_layer} is -1, and
 * the norm behind them, which a stock loader wants to see, is the identity's weights and read by nobody.
 */
public final class Export {
    static final String MODEL = "vlm-operator.json";
    static final String WEIGHTS = "model.safetensors";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Export() {}

    /**
     * What only this project knows of the folder.
     *
     * @param stock whether a stock LlavaForConditionalGeneration computes the same
     * @param reason why not
     * @param digest of the weights' file
     */
    record Description(ModelConfig model, Boolean stock, String reason, Long step, String digest) {}

    /**
     * @param imageToken id of the tokenizer's placeholder for an image, if it has one
     * @return digest of the weights
     */
    public static String write(
            Path folder, VisionLanguageModel model, byte[] tokenizer, OptionalInt imageToken, long step, Faults faults)
            throws IOException {
        ModelConfig config = model.config();
        Path building = folder.resolveSibling("." + folder.getFileName() + ".tmp");
        faults.before("export", folder);
        Durable.deleteFolder(building);
        Files.createDirectories(building);
        writeWeights(building.resolve(WEIGHTS), model.weights(), config.vision());
        String digest = Durable.digest(building.resolve(WEIGHTS));
        boolean whole = config.projector().tokensPerImage() == config.vision().patches();
        String reason = !whole
                ? "an image has " + config.projector().tokensPerImage() + " tokens pooled from "
                        + config.vision().patches() + " patches; LLaVA does not pool"
                : imageToken.isEmpty() ? "the tokenizer has no token for an image" : null;
        put(building, "config.json", llava(config, imageToken));
        put(building, "preprocessor_config.json", preprocessor(config.vision()));
        put(building, "processor_config.json", processor(config.vision()));
        Files.write(building.resolve(CheckpointWriter.TOKENIZER), tokenizer);
        Files.write(building.resolve(MODEL), Json.bytes(new Description(config, reason == null, reason, step, digest)));
        Durable.deleteFolder(folder);
        Durable.rename(building, folder);
        return digest;
    }

    private static void writeWeights(Path file, Weights weights, VisionConfig vision) throws IOException {
        List<Parameter> parameters = weights.parameters();
        List<SafetensorsWriter.Item> items = new ArrayList<>(CheckpointWriter.items(parameters));
        String norm = "vision_tower.vision_model.post_layernorm.";
        items.add(SafetensorsWriter.Item.of(norm + "weight", DType.FLOAT32, vision.hiddenSize()));
        items.add(SafetensorsWriter.Item.of(norm + "bias", DType.FLOAT32, vision.hiddenSize()));
        try (SafetensorsWriter writer = new SafetensorsWriter(file, Map.of("format", "pt"), items)) {
            for (Parameter parameter : parameters) {
                CheckpointWriter.writeParameter(writer, weights, parameter);
            }
            float[] ones = new float[vision.hiddenSize()];
            java.util.Arrays.fill(ones, 1);
            writer.write(norm + "weight", bytes(ones));
            writer.write(norm + "bias", bytes(new float[vision.hiddenSize()]));
            writer.finish();
        }
    }

    private static MemorySegment bytes(float[] values) {
        MemorySegment segment = java.lang.foreign.Arena.ofAuto().allocate(values.length * 4L, 4);
        return segment.copyFrom(MemorySegment.ofArray(values));
    }

    private static ObjectNode llava(ModelConfig config, OptionalInt imageToken) {
        ObjectNode root = MAPPER.createObjectNode();
        root.putArray("architectures").add("LlavaForConditionalGeneration");
        root.put("model_type", "llava");
        root.put("torch_dtype", "float32");
        imageToken.ifPresent(id -> root.put("image_token_index", id));
        root.put("image_seq_length", config.projector().tokensPerImage());
        root.put("projector_hidden_act", "gelu");
        root.put("multimodal_projector_bias", true);
        root.put("vision_feature_layer", -1);
        root.put("vision_feature_select_strategy", "full");
        root.put("tie_word_embeddings", config.language().tieWordEmbeddings());
        root.set("text_config", text(config.language()));
        root.set("vision_config", vision(config.vision()));
        return root;
    }

    private static ObjectNode text(LanguageConfig sizes) {
        return MAPPER.createObjectNode()
                .put("model_type", "qwen2")
                .put("hidden_size", sizes.hiddenSize())
                .put("intermediate_size", sizes.intermediateSize())
                .put("num_hidden_layers", sizes.numHiddenLayers())
                .put("num_attention_heads", sizes.numAttentionHeads())
                .put("num_key_value_heads", sizes.numKeyValueHeads())
                .put("vocab_size", sizes.vocabSize())
                .put("rope_theta", sizes.ropeTheta())
                .put("rms_norm_eps", sizes.rmsNormEps())
                .put("tie_word_embeddings", sizes.tieWordEmbeddings())
                .put("max_position_embeddings", sizes.maxPositionEmbeddings())
                .put("hidden_act", "silu")
                .put("torch_dtype", "float32");
    }

    private static ObjectNode vision(VisionConfig sizes) {
        return MAPPER.createObjectNode()
                .put("model_type", "siglip_vision_model")
                .put("image_size", sizes.imageSize())
                .put("patch_size", sizes.patchSize())
                .put("hidden_size", sizes.hiddenSize())
                .put("intermediate_size", sizes.intermediateSize())
                .put("num_hidden_layers", sizes.usedLayers())
                .put("num_attention_heads", sizes.numAttentionHeads())
                .put("layer_norm_eps", sizes.layerNormEps())
                .put("hidden_act", sizes.activation() == VisionConfig.Activation.Erf ? "gelu" : "gelu_pytorch_tanh")
                .put("vision_use_head", false)
                .put("torch_dtype", "float32");
    }

    private static ObjectNode preprocessor(VisionConfig sizes) {
        ObjectNode root = MAPPER.createObjectNode()
                .put("image_processor_type", "SiglipImageProcessor")
                .put("do_resize", true)
                .put("resample", 3)
                .put("do_rescale", true)
                .put("rescale_factor", 1 / 255.0)
                .put("do_normalize", true)
                .put("do_convert_rgb", true);
        root.putObject("size").put("height", sizes.imageSize()).put("width", sizes.imageSize());
        root.putArray("image_mean").add(0.5).add(0.5).add(0.5);
        root.putArray("image_std").add(0.5).add(0.5).add(0.5);
        return root;
    }

    private static ObjectNode processor(VisionConfig sizes) {
        return MAPPER.createObjectNode()
                .put("processor_class", "LlavaProcessor")
                .put("patch_size", sizes.patchSize())
                .put("vision_feature_select_strategy", "full")
                .put("num_additional_image_tokens", 0);
    }

    private static void put(Path folder, String name, ObjectNode json) throws IOException {
        Files.write(
                folder.resolve(name), MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json));
    }
}
