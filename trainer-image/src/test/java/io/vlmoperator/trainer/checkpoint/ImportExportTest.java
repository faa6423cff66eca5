package io.vlmoperator.trainer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.VisionConfig;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** From the folders of other libraries to ours and back: tensors come out with the bytes they went in with. */
class ImportExportTest {
    private static final Path MODEL = Path.of("src/test/resources/reference/vlm/model");
    private static final Path RELEASED = Path.of("src/test/resources/released/tiny.pt");
    private static final Path TOKENIZER = Path.of("src/test/resources/tokenizer/small");
    private static final Importer.Settings SETTINGS =
            new Importer.Settings(TOKENIZER, Optional.empty(), Optional.empty());
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    private Path language;

    /** The decoder's vocabulary of 96, with a table large enough for the tokenizer. */
    @BeforeEach
    void widen() throws IOException {
        language = Files.createDirectories(folder.resolve("language"));
        Files.writeString(
                language.resolve("config.json"),
                Files.readString(MODEL.resolve("decoder/config.json"))
                        .replace("\"vocab_size\": 96", "\"vocab_size\": 2008"));
        try (Safetensors file = Safetensors.open(MODEL.resolve("decoder"));
                java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
            List<SafetensorsWriter.Item> items = new ArrayList<>();
            for (Safetensors.Entry entry : file.entries().values()) {
                boolean table = entry.name().endsWith("embed_tokens.weight");
                items.add(
                        table
                                ? SafetensorsWriter.Item.of(entry.name(), entry.type(), 2008, 32)
                                : new SafetensorsWriter.Item(entry.name(), entry.type(), entry.shape()));
            }
            try (SafetensorsWriter writer =
                    new SafetensorsWriter(language.resolve("model.safetensors"), Map.of(), items)) {
                for (SafetensorsWriter.Item item : items) {
                    Safetensors.Entry entry = file.get(item.name());
                    var data = arena.allocate(item.bytes(), 8);
                    data.asSlice(0, entry.data().byteSize()).copyFrom(entry.data());
                    writer.write(item.name(), data);
                }
                writer.finish();
            }
        }
    }

    private Importer.Parts parts() {
        return new Importer.Parts(language, MODEL.resolve("vision"), MODEL.resolve("projector.safetensors"));
    }

    private void export(Path from, Path to, DType type) throws IOException {
        try (Scope scope = Scope.open()) {
            ModelLoader.Source source = ModelLoader.find(from, Optional.empty());
            ModelLoader.Loaded loaded = ModelLoader.open(source, Set.of(), OptionalInt.empty(), scope);
            Export.write(
                    to,
                    loaded.model(),
                    Files.readAllBytes(source.tokenizer()),
                    0,
                    new Export.Options(type, Optional.of(from)),
                    Faults.NONE);
        }
    }

    private static String whyNotStock(Path folder) throws IOException {
        return JSON.readTree(folder.resolve(Export.MODEL).toFile())
                .path("reason")
                .asText();
    }

    private static void same(Path location, String prefix, Path exported, String... without) throws IOException {
        try (Safetensors expected = Safetensors.open(location);
                Safetensors found = Safetensors.open(exported)) {
            int compared = 0;
            for (Safetensors.Entry entry : expected.entries().values()) {
                if (List.of(without).stream().anyMatch(part -> entry.name().contains(part))) {
                    continue;
                }
                Safetensors.Entry other = found.get(prefix
                        + entry.name()
                                .replace("fc1.", "linear_1.")
                                .replace("fc2.", "linear_2.")
                                .replace("mlp.linear_", "mlp.fc"));
                assertThat(other.type()).as(entry.name()).isEqualTo(entry.type());
                assertThat(other.shape()).as(entry.name()).isEqualTo(entry.shape());
                assertThat(other.data().mismatch(entry.data())).as(entry.name()).isEqualTo(-1);
                compared++;
            }
            assertThat(compared).isPositive();
        }
    }

    @Test
    void partsToLlavaAndBackAgain() throws IOException {
        Path ours = folder.resolve("ours");
        Path llava = folder.resolve("llava");
        ModelConfig config = Importer.run(parts(), SETTINGS, ours);
        assertThat(config.vision().activation()).isEqualTo(VisionConfig.Activation.Erf);
        export(ours, llava, DType.FLOAT32);

        same(language, "language_model.", llava);
        same(MODEL.resolve("vision"), "vision_tower.", llava, ".head.");
        same(MODEL.resolve("projector.safetensors"), "multi_modal_projector.", llava);
        assertThat(whyNotStock(llava)).isEmpty();
        Path again = folder.resolve("again");
        assertThat(Importer.run(new Importer.Llava(llava), SETTINGS, again)).isEqualTo(config);
        same(llava, "", again);

        JsonNode json = JSON.readTree(llava.resolve("config.json").toFile());
        assertThat(json.path("vision_feature_layer").asInt()).isEqualTo(-2);
        assertThat(json.path("vision_feature_select_strategy").asText()).isEqualTo("full");
        assertThat(json.path("vision_config").path("num_hidden_layers").asInt()).isEqualTo(3);
        assertThat(json.path("image_token_index").asInt()).isEqualTo(2000);
        try (Tokenizer tokenizer = Tokenizer.load(llava)) {
            assertThat(tokenizer.encodeMarkup("<image>")).containsExactly(2000);
        }
        // The folder goes on with the tokenizer it was trained with: Datasets know it by its digest.
        assertThat(ModelLoader.find(llava, Optional.empty()).tokenizer())
                .hasSameBinaryContentAs(TOKENIZER.resolve("tokenizer.json"));
    }

    @Test
    void bfloat16ComesOutAsItWentIn() throws IOException {
        Path ours = folder.resolve("ours");
        Path rounded = folder.resolve("rounded");
        Importer.run(parts(), SETTINGS, ours);
        export(ours, rounded, DType.BFLOAT16);
        Path second = folder.resolve("second");
        Importer.run(new Importer.Llava(rounded), SETTINGS, second);
        Path out = folder.resolve("out");
        export(second, out, ModelLoader.find(second, Optional.empty()).type());

        same(rounded, "", out);
        try (Safetensors file = Safetensors.open(out)) {
            assertThat(file.entries().values()).allMatch(e -> e.type() == DType.BFLOAT16);
        }
    }

    @Test
    void theTextModelAlone() throws IOException {
        Path ours = folder.resolve("ours");
        Importer.run(parts(), SETTINGS, ours);
        Path text = folder.resolve("text");
        try (Scope scope = Scope.open()) {
            ModelLoader.Source source = ModelLoader.find(ours, Optional.empty());
            ModelLoader.Loaded loaded = ModelLoader.open(source, Set.of(), OptionalInt.empty(), scope);
            Export.writeText(text, loaded.model(), Files.readAllBytes(source.tokenizer()), DType.FLOAT32);
        }
        same(language, "", text);
        assertThat(HuggingFace.languageConfig(text)).isEqualTo(HuggingFace.languageConfig(language));
        try (Safetensors file = Safetensors.open(text)) {
            assertThat(file.find("lm_head.weight"))
                    .as("a tied head is written once")
                    .isEmpty();
        }
    }

    @Test
    void theReleasedArchive() throws IOException {
        Path ours = folder.resolve("ours");
        ModelConfig config = Importer.run(
                new Importer.Released(RELEASED, MODEL.resolve("decoder"), MODEL.resolve("vision")), SETTINGS, ours);
        assertThat(config.vision().activation()).isEqualTo(VisionConfig.Activation.Erf);
        same(MODEL.resolve("decoder"), "language_model.", ours);
        same(MODEL.resolve("projector.safetensors"), "multi_modal_projector.", ours);
        // Its vocabulary of 96 has no room for <image>.
        Path llava = folder.resolve("llava");
        export(ours, llava, DType.FLOAT32);
        assertThat(whyNotStock(llava)).contains("no free id for <image>");
    }

    @Test
    void anotherNumberOfTokensIsNoStockModel() throws IOException {
        Path ours = folder.resolve("ours");
        Importer.run(parts(), new Importer.Settings(TOKENIZER, Optional.of(4), Optional.empty()), ours);
        Path llava = folder.resolve("llava");
        export(ours, llava, DType.FLOAT32);
        assertThat(whyNotStock(llava)).contains("4 tokens pooled from 16 patches");
    }

    @Test
    void whatDoesNotFitIsNamed() throws IOException {
        Path wrong = Files.createDirectories(folder.resolve("wrong"));
        Files.copy(MODEL.resolve("decoder/model.safetensors"), wrong.resolve("model.safetensors"));
        Files.copy(language.resolve("config.json"), wrong.resolve("config.json"));
        assertThatThrownBy(() -> Importer.run(
                        new Importer.Parts(wrong, MODEL.resolve("vision"), MODEL.resolve("projector.safetensors")),
                        SETTINGS,
                        folder.resolve("ours")))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("model.embed_tokens.weight has shape [96, 32], the model needs [2008, 32]");
        assertThatThrownBy(() -> Importer.run(
                        new Importer.Parts(language, MODEL.resolve("vision"), MODEL.resolve("vision")),
                        SETTINGS,
                        folder.resolve("ours")))
                .hasMessageContaining("multi_modal_projector.linear_1.weight is missing")
                .hasMessageContaining("vision_model.embeddings.patch_embedding.bias is not part of the model");
        assertThat(folder.resolve("ours")).doesNotExist();
    }
}
