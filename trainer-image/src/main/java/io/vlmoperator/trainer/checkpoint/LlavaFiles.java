package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.op.DType;
import java.util.List;
import java.util.OptionalInt;

/** The JSON files beside the weights of a Hugging Face folder: a stock {@code LlavaForConditionalGeneration}, or its text model alone. */
final class LlavaFiles {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private LlavaFiles() {}

    /** The feature's layer as every loader of LLaVA models reads it: the output of the last block but one. */
    static final int FEATURE_LAYER = -2;

    static ObjectNode llava(ModelConfig config, OptionalInt imageToken, DType type, ExportTokenizer.Ids ids) {
        ObjectNode root = MAPPER.createObjectNode();
        root.putArray("architectures").add("LlavaForConditionalGeneration");
        root.put("model_type", "llava");
        root.put("torch_dtype", torchName(type));
        imageToken.ifPresent(id -> root.put("image_token_index", id));
        root.put("image_seq_length", config.projector().tokensPerImage());
        root.put("projector_hidden_act", "gelu");
        root.put("multimodal_projector_bias", true);
        root.put("vision_feature_layer", FEATURE_LAYER);
        root.put("vision_feature_select_strategy", "full");
        root.put("tie_word_embeddings", config.language().tieWordEmbeddings());
        ids.put(root);
        root.set("text_config", text(config.language(), type, ids));
        root.set("vision_config", vision(config.vision(), type));
        return root;
    }

    static ObjectNode text(LanguageConfig sizes, DType type, ExportTokenizer.Ids ids) {
        ObjectNode root = MAPPER.createObjectNode();
        root.putArray("architectures").add("Qwen2ForCausalLM");
        root.put("model_type", "qwen2")
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
                .put("use_sliding_window", false)
                .put("torch_dtype", torchName(type));
        ids.put(root);
        return root;
    }

    private static ObjectNode vision(VisionConfig sizes, DType type) {
        return MAPPER.createObjectNode()
                .put("model_type", "siglip_vision_model")
                .put("image_size", sizes.imageSize())
                .put("patch_size", sizes.patchSize())
                .put("num_channels", 3)
                .put("hidden_size", sizes.hiddenSize())
                .put("intermediate_size", sizes.intermediateSize())
                // One block more than is used, because the feature is the output of the last but one.
                .put("num_hidden_layers", sizes.usedLayers() + 1)
                .put("num_attention_heads", sizes.numAttentionHeads())
                .put("layer_norm_eps", sizes.layerNormEps())
                .put("hidden_act", sizes.activation() == VisionConfig.Activation.Erf ? "gelu" : "gelu_pytorch_tanh")
                .put("vision_use_head", false)
                .put("torch_dtype", torchName(type));
    }

    static ObjectNode preprocessor(VisionConfig sizes) {
        ObjectNode root = MAPPER.createObjectNode()
                .put("image_processor_type", "SiglipImageProcessor")
                .put("processor_class", "LlavaProcessor")
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

    static ObjectNode processor(VisionConfig sizes) {
        return MAPPER.createObjectNode()
                .put("processor_class", "LlavaProcessor")
                .put("patch_size", sizes.patchSize())
                .put("vision_feature_select_strategy", "full")
                .put("image_token", ExportTokenizer.IMAGE)
                .put("num_additional_image_tokens", 0);
    }

    static ObjectNode generation(ExportTokenizer.Ids ids) {
        ObjectNode root = MAPPER.createObjectNode();
        ids.put(root);
        if (ids.end().isPresent() && ids.pad().isPresent()) {
            root.putArray("eos_token_id")
                    .add(ids.end().getAsInt())
                    .add(ids.pad().getAsInt());
        }
        return root.put("do_sample", false);
    }

    private static String torchName(DType type) {
        return type == DType.BFLOAT16 ? "bfloat16" : "float32";
    }

    /** Tensors that a stock encoder has and the feature does not use: its last block and the norm behind it. */
    static List<SafetensorsWriter.Item> unusedVision(VisionConfig sizes, DType type) {
        String prefix = "vision_tower.vision_model.";
        String block = prefix + "encoder.layers." + sizes.usedLayers() + ".";
        long width = sizes.hiddenSize();
        long inner = sizes.intermediateSize();
        return List.of(
                SafetensorsWriter.Item.of(block + "layer_norm1.weight", type, width),
                SafetensorsWriter.Item.of(block + "layer_norm1.bias", type, width),
                SafetensorsWriter.Item.of(block + "self_attn.q_proj.weight", type, width, width),
                SafetensorsWriter.Item.of(block + "self_attn.k_proj.weight", type, width, width),
                SafetensorsWriter.Item.of(block + "self_attn.v_proj.weight", type, width, width),
                SafetensorsWriter.Item.of(block + "self_attn.q_proj.bias", type, width),
                SafetensorsWriter.Item.of(block + "self_attn.k_proj.bias", type, width),
                SafetensorsWriter.Item.of(block + "self_attn.v_proj.bias", type, width),
                SafetensorsWriter.Item.of(block + "self_attn.out_proj.weight", type, width, width),
                SafetensorsWriter.Item.of(block + "self_attn.out_proj.bias", type, width),
                SafetensorsWriter.Item.of(block + "layer_norm2.weight", type, width),
                SafetensorsWriter.Item.of(block + "layer_norm2.bias", type, width),
                SafetensorsWriter.Item.of(block + "mlp.fc1.weight", type, inner, width),
                SafetensorsWriter.Item.of(block + "mlp.fc1.bias", type, inner),
                SafetensorsWriter.Item.of(block + "mlp.fc2.weight", type, width, inner),
                SafetensorsWriter.Item.of(block + "mlp.fc2.bias", type, width),
                SafetensorsWriter.Item.of(prefix + "post_layernorm.weight", type, width),
                SafetensorsWriter.Item.of(prefix + "post_layernorm.bias", type, width));
    }
}
