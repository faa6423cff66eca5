package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.model.LanguageConfig;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.model.ProjectorConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HuggingFaceTest {
    private static final Path DECODER = Path.of("src/test/resources/reference/vlm/model/decoder");
    private static final Path VISION = Path.of("src/test/resources/reference/vlm/model/vision");

    @TempDir
    private Path folder;

    @Test
    void sizesComeFromTheConfig() throws IOException {
        assertThat(HuggingFace.languageConfig(DECODER))
                .isEqualTo(new LanguageConfig(32, 48, 2, 4, 2, 96, 1e6, 1e-6, true, 32768));
        assertThat(HuggingFace.visionConfig(VISION, -2, VisionConfig.Activation.Erf))
                .isEqualTo(new VisionConfig(22, 5, 24, 40, 3, 3, 1e-6, -2, VisionConfig.Activation.Erf));
        assertThat(HuggingFace.visionActivation(VISION)).isEqualTo(VisionConfig.Activation.Erf);
    }

    @Test
    void whatDoesNotFitIsNamedWithBothShapes() throws IOException {
        LanguageConfig right = HuggingFace.languageConfig(DECODER);
        refused(
                new LanguageConfig(32, 40, 2, 4, 2, 96, 1e6, 1e-6, true, 32768),
                DECODER,
                Part.LANGUAGE,
                "language",
                "mlp.gate_proj.weight has shape [48, 32], the model needs [40, 32]");
        refused(
                new LanguageConfig(32, 48, 3, 4, 2, 96, 1e6, 1e-6, true, 32768),
                DECODER,
                Part.LANGUAGE,
                "model.layers.2.input_layernorm.weight is missing",
                "more");
        refused(
                new LanguageConfig(32, 48, 1, 4, 2, 96, 1e6, 1e-6, true, 32768),
                DECODER,
                Part.LANGUAGE,
                "model.layers.1.",
                "is not part of the model");
        refused(right, VISION, Part.LANGUAGE, "model.embed_tokens.weight is missing");
        refused(right, DECODER, Part.VISION, "vision_model.embeddings.patch_embedding.weight is missing");
    }

    private static void refused(LanguageConfig language, Path location, Part part, String... messages)
            throws IOException {
        VisionConfig vision = HuggingFace.visionConfig(VISION, -2, VisionConfig.Activation.Erf);
        try (Scope scope = Scope.open()) {
            VisionLanguageModel model = VisionLanguageModel.create(
                    scope, new ModelConfig(language, vision, new ProjectorConfig(4)), Set.of());
            assertThatThrownBy(() -> HuggingFace.load(location, model.weights(), part))
                    .isInstanceOf(SafetensorsException.class)
                    .hasMessageContaining("does not fit the model")
                    .satisfies(e -> {
                        for (String message : messages) {
                            if (!message.equals("language")) {
                                assertThat(e).hasMessageContaining(message);
                            }
                        }
                    });
        }
    }

    @Test
    void configsOfOtherModelsAreRefused() throws IOException {
        Path config = folder.resolve("config.json");
        assertThatThrownBy(() -> HuggingFace.languageConfig(folder))
                .hasMessageContaining("config.json")
                .hasMessageContaining("is missing");
        Files.writeString(config, "{\"model_type\": \"llama\"}");
        assertThatThrownBy(() -> HuggingFace.languageConfig(folder)).hasMessageContaining("'llama'");
        Files.writeString(
                config,
                Files.readString(DECODER.resolve("config.json"))
                        .replace("\"hidden_size\": 32", "\"hidden_size\": \"big\""));
        assertThatThrownBy(() -> HuggingFace.languageConfig(folder)).hasMessageContaining("hidden_size is \"big\"");
        Files.writeString(
                config,
                Files.readString(DECODER.resolve("config.json"))
                        .replace("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"yarn\"}"));
        assertThatThrownBy(() -> HuggingFace.languageConfig(folder)).hasMessageContaining("rope_scaling");
        Files.writeString(config, "{\"model_type\": ");
        assertThatThrownBy(() -> HuggingFace.languageConfig(folder)).hasMessageContaining("not JSON");
    }

    @Test
    void timmsNamesGiveTheSameWeights() throws IOException {
        VisionConfig sizes = HuggingFace.visionConfig(VISION, -2, VisionConfig.Activation.Erf);
        Path timm = folder.resolve("model.safetensors");
        try (Safetensors file = Safetensors.open(VISION);
                Arena arena = Arena.ofConfined()) {
            // Every tensor under timm's name; query, key and value joined, the positions with a dimension in front.
            Map<String, SafetensorsWriter.Item> items = new LinkedHashMap<>();
            Map<String, MemorySegment> data = new LinkedHashMap<>();
            for (Safetensors.Entry entry : file.entries().values()) {
                Optional<TimmNames.Place> place = TimmNames.of(entry.name().substring("vision_model.".length()));
                if (place.isEmpty()) {
                    continue; // the norm and the head that the feature does not use
                }
                String name = place.get().name();
                List<Long> shape = new ArrayList<>(entry.shape());
                if (name.equals("pos_embed")) {
                    shape.addFirst(1L);
                }
                if (place.get().part() < 0) {
                    data.put(name, entry.data());
                } else {
                    shape.set(0, 3 * shape.getFirst());
                    long bytes = entry.data().byteSize();
                    data.computeIfAbsent(name, n -> arena.allocate(3 * bytes, 8))
                            .asSlice(place.get().part() * bytes, bytes)
                            .copyFrom(entry.data());
                }
                items.put(name, new SafetensorsWriter.Item(name, entry.type(), shape));
            }
            items.put("norm.weight", SafetensorsWriter.Item.of("norm.weight", DType.FLOAT32, 1));
            data.put("norm.weight", arena.allocate(4, 4));
            try (SafetensorsWriter writer = new SafetensorsWriter(timm, Map.of(), List.copyOf(items.values()))) {
                for (String name : items.keySet()) {
                    writer.write(name, data.get(name));
                }
                writer.finish();
            }
        }
        Files.copy(VISION.resolve("config.json"), folder.resolve("config.json"));
        ModelConfig config =
                new ModelConfig(HuggingFace.languageConfig(DECODER), sizes, new ProjectorConfig(sizes.patches()));
        try (Scope scope = Scope.open()) {
            VisionLanguageModel one = VisionLanguageModel.create(scope, config, Set.of());
            VisionLanguageModel other = VisionLanguageModel.create(scope, config, Set.of());
            HuggingFace.load(VISION, one.weights(), Part.VISION);
            HuggingFace.load(folder, other.weights(), Part.VISION);
            for (Parameter parameter : one.weights().parameters()) {
                assertThat(other.weights().view(parameter.name(), scope).floats())
                        .as(parameter.name())
                        .isEqualTo(one.weights().view(parameter.name(), scope).floats());
                // The released archive, where the encoder was trained, has the same tensors under these names.
                if (parameter.part() == Part.VISION) {
                    TimmNames.Place place = TimmNames.of(parameter.ownName().substring("vision_model.".length()))
                            .orElseThrow();
                    assertThat(ReleasedNames.of("model.vision_backbone.featurizer." + place.name()))
                            .contains(new ReleasedNames.Place(parameter.name(), place.part()));
                }
            }
        }
        assertThat(ReleasedNames.of("model.vision_backbone.featurizer.norm.weight"))
                .isEmpty();
        assertThat(ReleasedNames.of("model.other")).containsExactly(new ReleasedNames.Place("model.other", -1));
    }
}
