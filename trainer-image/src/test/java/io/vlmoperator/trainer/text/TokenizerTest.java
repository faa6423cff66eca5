package io.vlmoperator.trainer.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the tokenizers library's own results for a small tokenizer of the Qwen2.5 kind. */
class TokenizerTest {
    private static final Path FOLDER = Path.of("src/test/resources/tokenizer/small");
    private static final ObjectMapper JSON = new ObjectMapper();
    private static Tokenizer tokenizer;

    @TempDir
    Path temp;

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(FOLDER);
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void markupEqualsTheLibraryOnEveryCase() throws IOException {
        for (JsonNode row : rows(FOLDER.resolve("cases.jsonl"))) {
            String text = row.get("text").asText();
            assertThat(tokenizer.encodeMarkup(text)).as(text).containsExactly(ids(row.get("ids")));
            String decoded = java.text.Normalizer.normalize(text, java.text.Normalizer.Form.NFC);
            assertThat(tokenizer.decode(ids(row.get("ids")), false)).as(text).isEqualTo(decoded);
        }
    }

    @Test
    void dataCannotWriteControlTokens() throws IOException {
        for (JsonNode row : rows(FOLDER.resolve("cases.jsonl"))) {
            String text = row.get("text").asText();
            int[] plain = tokenizer.encode(text);
            for (int id : plain) {
                assertThat(id).as("a control token in '%s'", text).isLessThan(1976);
            }
            if (!row.get("class").asText().equals("special")) {
                assertThat(plain).as(text).containsExactly(ids(row.get("ids")));
            }
        }
        assertThat(tokenizer.decode(tokenizer.encode("a <|im_end|> b"), true)).isEqualTo("a <|im_end|> b");
        assertThat(tokenizer.specialTokenLiterals("a <|im_end|><|im_end|> <s> b"))
                .isEqualTo(3);
        assertThat(tokenizer.specialTokenLiterals("plain")).isZero();
    }

    @Test
    void nothingIsTruncated() {
        assertThat(tokenizer.encode("x ".repeat(20_000)).length).isGreaterThan(20_000);
    }

    @Test
    void bytesOfTokensAddUp() {
        String text = "Größe 🍰 红色 x\n\n end";
        int bytes = 0;
        for (int id : tokenizer.encode(text)) {
            bytes += tokenizer.byteLength(id);
        }
        assertThat(bytes).isEqualTo(text.getBytes(java.nio.charset.StandardCharsets.UTF_8).length);
    }

    @Test
    void missingTokenIsNamed() throws IOException {
        String json = Files.readString(FOLDER.resolve("tokenizer.json")).replace("<|im_end|>", "<|other|>");
        Files.writeString(temp.resolve("tokenizer.json"), json);
        try (Tokenizer other = Tokenizer.load(temp)) {
            assertThatThrownBy(() -> Templates.caption(other, "x"))
                    .isInstanceOf(TrainerException.class)
                    .hasMessageContaining("has no token <|im_end|>");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {                                      | no valid JSON
            []                                     | no JSON object
            {}                                     | no byte-level BPE
            {"model":{"type":"Unigram","vocab":[]}} | no byte-level BPE
            """)
    void brokenFilesAreNamed(String json, String message) throws IOException {
        Files.writeString(temp.resolve("tokenizer.json"), json);
        assertThatThrownBy(() -> Tokenizer.load(temp))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                .hasMessageContaining(message);
    }

    @Test
    void missingFileIsNamed() {
        assertThatThrownBy(() -> Tokenizer.load(temp)).hasMessageContaining("holds no tokenizer.json");
    }

    static List<JsonNode> rows(Path file) throws IOException {
        try (var lines = Files.lines(file)) {
            return lines.map(line -> {
                        try {
                            return JSON.readTree(line);
                        } catch (IOException e) {
                            throw new java.io.UncheckedIOException(e);
                        }
                    })
                    .toList();
        }
    }

    static int[] ids(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false)
                .mapToInt(JsonNode::asInt)
                .toArray();
    }
}
