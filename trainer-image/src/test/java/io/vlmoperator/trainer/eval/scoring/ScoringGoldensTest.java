package io.vlmoperator.trainer.eval.scoring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every recorded row and aggregate of {@code src/test/resources/scoring}. */
class ScoringGoldensTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> RESULTS = List.of("score", "inferred", "normalised", "extracted");

    static Stream<JsonNode> rows() throws IOException {
        return read("rows.jsonl").lines().map(line -> {
            try {
                return JSON.readTree(line);
            } catch (IOException e) {
                throw new IllegalStateException(line, e);
            }
        });
    }

    @ParameterizedTest
    @MethodSource("rows")
    void everyRow(JsonNode golden) {
        ObjectNode computed = ScoringCases.row(without(golden));

        for (String field : RESULTS) {
            JsonNode want = golden.path(field);
            JsonNode got = computed.path(field);
            if (want.isNumber()) {
                assertThat(got.asDouble()).as("%s of %s", field, golden).isEqualTo(want.asDouble(), within(1e-12));
            } else if (want.isTextual()) {
                assertThat(got).as("%s of %s", field, golden).isEqualTo(want);
            } else {
                assertThat(got.isNull() || got.isMissingNode())
                        .as("%s of %s, got %s", field, golden, got)
                        .isTrue();
            }
        }
    }

    @Test
    void everyProtocolHasRows() throws IOException {
        assertThat(rows().map(row -> row.path("protocol").asText()).distinct()).hasSize(20);
        assertThat(rows().count()).isEqualTo(594);
    }

    @Test
    void aggregates() throws IOException {
        JsonNode golden = JSON.readTree(read("aggregates.json"));

        ObjectNode rowsOnly = golden.deepCopy();
        ((ObjectNode) rowsOnly.get("mmbench")).remove(List.of("circular", "plain"));
        ((ObjectNode) rowsOnly.get("mmstar")).remove(List.of("micro", "macro"));
        rowsOnly.remove(List.of("pope-words", "pope-strict"));
        rowsOnly.path("pope-degenerate").forEach(set -> ((ObjectNode) set).retain("rows"));

        same("aggregates", ScoringCases.aggregates(rowsOnly), golden);
    }

    @Test
    void unknownProtocolIsNamed() {
        assertThatThrownBy(() -> ScoringCases.row(JSON.createObjectNode().put("protocol", "vqa")))
                .hasMessageContaining("\"vqa\"");
    }

    /** A copy without what is to be computed, so that no golden is compared with itself. */
    private static ObjectNode without(JsonNode golden) {
        ObjectNode row = golden.deepCopy();
        row.remove(RESULTS);
        return row;
    }

    private static void same(String path, JsonNode got, JsonNode want) {
        assertThat(got.size()).as(path).isEqualTo(want.size());
        if (want.isNumber()) {
            assertThat(got.asDouble()).as(path).isEqualTo(want.asDouble(), within(1e-12));
        } else if (want.isObject()) {
            want.properties()
                    .forEach(field -> same(path + "." + field.getKey(), got.path(field.getKey()), field.getValue()));
        } else if (want.isArray()) {
            for (int i = 0; i < want.size(); i++) {
                same(path + "[" + i + "]", got.path(i), want.path(i));
            }
        } else {
            assertThat(got).as(path).isEqualTo(want);
        }
    }

    private static String read(String name) throws IOException {
        try (InputStream in = ScoringGoldensTest.class.getResourceAsStream("/scoring/" + name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
