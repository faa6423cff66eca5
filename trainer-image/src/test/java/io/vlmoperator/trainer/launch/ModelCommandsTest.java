package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.checkpoint.Safetensors;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code vlm-trainer import} and {@code vlm-trainer export} as a person types them. */
class ModelCommandsTest {
    private static final Path MODEL = Path.of("src/test/resources/reference/vlm/model");

    @TempDir
    private Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(String... arguments) {
        return Main.run(
                Arrays.asList(arguments),
                Map.of(),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private int importParts(String to, String... more) {
        List<String> words = new ArrayList<>(List.of(
                "import",
                "--language",
                MODEL.resolve("decoder").toString(),
                "--vision",
                MODEL.resolve("vision").toString(),
                "--projector",
                MODEL.resolve("projector.safetensors").toString(),
                "--tokenizer",
                "src/test/resources/tokenizer/small",
                "--to",
                folder.resolve(to).toString()));
        words.addAll(List.of(more));
        return run(words.toArray(String[]::new));
    }

    private int export(String from, String to, String... more) {
        List<String> words = new ArrayList<>(List.of(
                "export",
                "--checkpoint",
                folder.resolve(from).toString(),
                "--to",
                folder.resolve(to).toString()));
        words.addAll(List.of(more));
        return run(words.toArray(String[]::new));
    }

    @Test
    void anotherNumberOfTokensNeedsConsent() throws IOException {
        assertThat(importParts("four", "--tokens-per-image", "4"))
                .as(err.toString())
                .isZero();
        assertThat(export("four", "llava")).isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8))
                .contains("the model has 4 tokens per image")
                .contains("--as-729, which changes the model");
        assertThat(folder.resolve("llava")).doesNotExist();
        // With consent it is written, but for this vocabulary of 96, which has no room for the token of an image.
        assertThat(export("four", "llava", "--as-729")).isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8)).contains("no free id for <image>");
        assertThat(folder.resolve("llava")).doesNotExist();
    }

    @Test
    void theTextModelAloneNeedsNoConsent() throws IOException {
        assertThat(importParts("four", "--tokens-per-image", "4")).isZero();
        assertThat(export("four", "text", "--text-only", "--type", "BFloat16"))
                .as(err.toString())
                .isZero();
        try (Safetensors file = Safetensors.open(folder.resolve("text"))) {
            assertThat(file.get("model.norm.weight").type().safetensorsName()).isEqualTo("BF16");
        }
        assertThat(Files.readString(folder.resolve("text/config.json"))).contains("Qwen2ForCausalLM");
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("4 tokens per image")
                .contains("Qwen2");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            export --to x                                | option --checkpoint is missing
            export --checkpoint y                        | option --to is missing
            export --checkpoint nowhere --to FOLDER/x    | nowhere
            export --checkpoint y --to FOLDER            | exists and is no model's folder
            import --to FOLDER/x                         | import needs --llava DIR, or --language DIR
            import --to FOLDER --llava nowhere           | exists and is no imported or exported model
            import --to FOLDER/x --llava nowhere         | there is no tokenizer at nowhere
            import --to FOLDER/x --llava nowhere --tokenizer TOKENIZER --activation Relu | there are Erf and Tanh
            import --to FOLDER/x --llava nowhere --tokenizer TOKENIZER                   | no such file or folder
            import --to FOLDER/x --released nowhere --language nowhere --vision nowhere --tokenizer TOKENIZER | no such file
            """)
    void whatIsMissingIsNamed(String line, String message) {
        String[] words = line.replace("FOLDER", folder.toString())
                .replace("TOKENIZER", "src/test/resources/tokenizer/small")
                .split(" +", -1);
        assertThat(run(words)).isEqualTo(64);
        assertThat(err.toString(StandardCharsets.UTF_8)).contains(message);
    }
}
