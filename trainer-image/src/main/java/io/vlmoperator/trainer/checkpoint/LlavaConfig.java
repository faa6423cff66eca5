package io.vlmoperator.trainer.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The {@code config.json} of a LLaVA folder: what this project's model computes, and what is refused by name. */
final class LlavaConfig {
    private LlavaConfig() {}

    static void requireSupported(Path folder) throws IOException {
        Path file = folder.resolve("config.json");
        JsonNode json = new ObjectMapper().readTree(Files.readAllBytes(file));
        require(file, json, "model_type", "llava", "");
        require(file, json, "vision_feature_layer", "-2", "-2");
        require(file, json, "vision_feature_select_strategy", "full", "default");
        require(file, json, "projector_hidden_act", "gelu", "gelu");
        require(file, json, "multimodal_projector_bias", "true", "true");
    }

    private static void require(Path file, JsonNode json, String field, String wanted, String usual)
            throws SafetensorsException {
        String value = json.path(field).asText(usual);
        if (json.path(field).isMissingNode()) {
            value = usual;
        }
        if (!value.equals(wanted)) {
            throw new SafetensorsException(file, field + " is '" + value + "', '" + wanted + "' is read");
        }
    }
}
