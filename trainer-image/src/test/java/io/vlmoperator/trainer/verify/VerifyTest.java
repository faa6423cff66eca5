package io.vlmoperator.trainer.verify;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kinds without a model: pictures, strings, layouts, bins, scores. What is right passes, and what has been altered is found. */
class VerifyTest {
    private static final Path RESOURCES = Path.of("src/test/resources");
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    private Path folder;

    private static List<Comparison> run(Path reference, Path... dump) throws IOException {
        return Verify.run(reference, Optional.empty(), Stream.of(dump).findFirst());
    }

    private static List<String> failed(List<Comparison> all) {
        return all.stream().filter(c -> !c.passed()).map(Comparison::line).toList();
    }

    private static Optional<Comparison> find(List<Comparison> all, String what) {
        return all.stream().filter(c -> c.what().equals(what)).findFirst();
    }

    @Test
    void textLayoutsBinsAndScores() throws IOException {
        // Beside the model's cases the resources have the folders of a reference.
        Path dump = folder.resolve("dump");
        List<Comparison> all = run(RESOURCES, dump);

        assertThat(failed(all)).isEmpty();
        assertThat(all.stream().map(c -> c.what().split("/", -1)[0]).distinct())
                .containsExactly("tokenizer", "chat", "scoring", "packing");
        assertThat(find(all, "chat/small/chatml/labels_with_newline")).isPresent();
        assertThat(find(all, "chat/small/chatml/no control token from data")).isPresent();
        assertThat(find(all, "tokenizer/small/cases/special/no control token from data"))
                .isPresent();
        assertThat(find(all, "scoring/aggregates/pope-strict")).isPresent();
        for (String file : List.of(
                "tokenizer/small/cases.jsonl", "chat/small.jsonl", "scoring/rows.jsonl", "packing/cases.jsonl")) {
            List<JsonNode> own = JsonRows.read(dump.resolve(file));
            List<JsonNode> golden = JsonRows.read(RESOURCES.resolve(file));
            assertThat(own).as(file).hasSameSizeAs(golden);
            for (int i = 0; i < own.size(); i++) {
                assertThat(own.get(i).path("ids"))
                        .as(file)
                        .isEqualTo(golden.get(i).path("ids"));
                assertThat(own.get(i).path("bins"))
                        .as(file)
                        .isEqualTo(golden.get(i).path("bins"));
            }
        }
        assertThat(JSON.readTree(dump.resolve("report.json").toFile())
                        .path("failed")
                        .size())
                .isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "tokenizer, small/cases.jsonl, ids, tokenizer/small/cases/",
        "chat, small.jsonl, labels, chat/small/",
        "packing, cases.jsonl, bins, packing/cases/",
        "scoring, rows.jsonl, score, scoring/rows/"
    })
    void whatWasAlteredIsFound(String kind, String file, String field, String what) throws IOException {
        Path copy = folder.resolve(kind).resolve(file);
        Files.createDirectories(copy.getParent());
        if (!kind.equals("packing") && !kind.equals("scoring")) {
            Path tokenizer = folder.resolve("tokenizer/small/tokenizer.json");
            Files.createDirectories(tokenizer.getParent());
            Files.copy(RESOURCES.resolve("tokenizer/small/tokenizer.json"), tokenizer);
        }
        List<JsonNode> rows = JsonRows.read(RESOURCES.resolve(kind).resolve(file));
        ObjectNode row = (ObjectNode) rows.stream()
                .filter(r -> r.path(field).isNumber() || r.path(field).size() > 1)
                .findFirst()
                .orElseThrow();
        if (row.path(field) instanceof ArrayNode array) {
            array.set(1, JSON.valueToTree(array.get(1).isArray() ? List.of(0) : 7));
        } else {
            row.put(field, row.path(field).asDouble() + 0.25);
        }
        Files.writeString(
                copy, String.join("\n", rows.stream().map(JsonNode::toString).toList()));

        assertThat(failed(run(folder.resolve(kind)))).isNotEmpty().allMatch(line -> line.startsWith(what));
    }

    /** A reference made of the pictures of the resources. */
    private Path pictures(boolean altered) throws IOException {
        Path kind = Files.createDirectories(folder.resolve("preprocess/images")).getParent();
        ObjectNode cases = JSON.createObjectNode();
        ArrayNode rows = cases.putArray("cases");
        for (JsonNode given : JsonRows.read(RESOURCES.resolve("images/cases.jsonl"))) {
            ObjectNode row = given.deepCopy();
            String file = row.path("file").asText();
            row.put("name", file.replaceFirst("\\..*", ""));
            row.put("file", "images/" + file);
            row.put("format", file.endsWith(".webp") ? "WEBP" : "other");
            Files.copy(
                    RESOURCES.resolve("images/good").resolve(file),
                    kind.resolve("images").resolve(file));
            if (altered && row.path("name").asText().equals("png_rgb")) {
                row.put("resized_sha256", row.path("rgb_sha256").asText());
            }
            rows.add(row);
        }
        JSON.writeValue(kind.resolve("cases.json").toFile(), cases);
        ObjectNode malformed = JSON.createObjectNode();
        ArrayNode bad = malformed.putArray("cases");
        Files.createDirectories(kind.resolve("malformed"));
        for (String file : List.of("truncated.jpg", "bomb.png", "text.jpg")) {
            Files.copy(
                    RESOURCES.resolve("images/bad").resolve(file),
                    kind.resolve("malformed").resolve(file));
            bad.addObject()
                    .put("file", "malformed/" + file)
                    .put("error", file.startsWith("bomb") ? "DecompressionBombError" : "OSError");
        }
        if (altered) {
            Files.copy(
                    RESOURCES.resolve("images/good/small.png"),
                    kind.resolve("malformed").resolve("small.png"));
            bad.addObject().put("file", "malformed/small.png").put("error", "OSError");
        }
        JSON.writeValue(kind.resolve("malformed.json").toFile(), malformed);
        Files.copy(RESOURCES.resolve("images/resize_arrays.safetensors"), kind.resolve("resize_arrays.safetensors"));
        return folder;
    }

    @Test
    void picturesAsPillowSeesThem() throws IOException {
        Path dump = folder.resolve("dump");
        List<Comparison> all = run(pictures(false), dump);

        assertThat(failed(all)).isEmpty();
        // Equal where libwebp is found, left out by name elsewhere.
        assertThat(find(all, "preprocess/webp_lossy/rgb").orElseThrow().measure())
                .satisfies(measure -> {
                    if (measure instanceof Comparison.LeftOut left) {
                        assertThat(left.why()).contains("libwebp.so.7");
                    }
                });
        assertThat(find(all, "preprocess/malformed/bomb.png (DecompressionBombError)"))
                .isPresent();
        assertThat(find(all, "preprocess/resize_arrays/7.output")).isPresent();
        try (Safetensors own = Safetensors.open(dump.resolve("preprocess/png_rgb.safetensors"))) {
            assertThat(own.get("tensor").shape()).containsExactly(3L, 384L, 384L);
        }
    }

    @Test
    void alteredPicturesAreFound() throws IOException {
        assertThat(failed(run(pictures(true))))
                .hasSize(2)
                .anyMatch(line -> line.startsWith("preprocess/png_rgb/resized "))
                .anyMatch(line -> line.contains("malformed/small.png"));
    }

    @Test
    void whatCannotBeRunIsAFailureOfItsOwn() throws IOException {
        Files.createDirectories(folder.resolve("scoring"));
        Files.writeString(folder.resolve("scoring/rows.jsonl"), "{\"protocol\": \"new\"}\n");
        Files.createDirectories(folder.resolve("packing"));
        Files.writeString(folder.resolve("packing/cases.jsonl"), "{\n");
        Files.createDirectories(folder.resolve("vision"));
        Files.writeString(folder.resolve("vision/a.safetensors"), "short");
        Files.createDirectories(folder.resolve("chat"));
        Files.writeString(folder.resolve("chat/qwen2_5.jsonl"), "{}\n");

        ByteArrayOutputStream text = new ByteArrayOutputStream();
        List<Comparison> all = run(folder);
        boolean passed = Verify.print(all, new PrintStream(text, true, StandardCharsets.UTF_8));

        assertThat(passed).isFalse();
        assertThat(text.toString(StandardCharsets.UTF_8))
                .contains("unknown scoring protocol \"new\"")
                .contains("cases.jsonl, line 1 is no JSON")
                .contains("vision/a")
                .contains("needs Qwen2.5's tokenizer.json")
                .contains("3 compared, 3 failed, 1 left out");
    }

    @Test
    void aFolderWithoutCasesIsNamed() {
        assertThatThrownBy(() -> run(folder))
                .isInstanceOf(TrainerException.class)
                .hasMessageContaining("holds no cases");
    }
}
