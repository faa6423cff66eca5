package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.eval.scoring.ScoringCases;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@code scoring/rows.jsonl} and {@code scoring/aggregates.json}: scores and what was read out of an answer. */
final class ScoringRows {
    private static final List<String> RESULTS = List.of("score", "inferred", "normalised", "extracted");
    private static final double ROUNDING = 1e-12;

    private ScoringRows() {}

    static void run(Path folder, Findings findings) throws IOException {
        List<ObjectNode> own = new ArrayList<>();
        Map<String, Findings.Tally> tallies = new LinkedHashMap<>();
        int number = 0;
        for (JsonNode golden : JsonRows.read(folder.resolve("rows.jsonl"))) {
            number++;
            String protocol = golden.path("protocol").asText();
            ObjectNode asked = golden.deepCopy();
            asked.remove(RESULTS); // no golden is compared with itself
            ObjectNode row = ScoringCases.row(asked);
            own.add(row);
            for (String field : RESULTS) {
                JsonNode expected = golden.path(field);
                JsonNode actual = row.path(field);
                if (expected.isMissingNode() || (expected.isNull() && field.equals("score"))) {
                    continue; // a row about the reading of an answer has no score
                }
                tallies.computeIfAbsent("scoring/rows/" + protocol + "/" + field, findings::tally)
                        .equal(
                                "row " + number,
                                same(actual, expected),
                                () -> actual + ", expected " + expected + ", prediction " + golden.path("prediction"));
            }
        }
        tallies.values().forEach(Findings.Tally::close);
        findings.lines("scoring", "rows.jsonl", own);
        Path aggregates = folder.resolve("aggregates.json");
        if (Files.exists(aggregates)) {
            aggregates(aggregates, findings);
        }
    }

    private static void aggregates(Path file, Findings findings) throws IOException {
        JsonNode golden = new ObjectMapper().readTree(file.toFile());
        ObjectNode asked = golden.deepCopy();
        asked.remove(List.of("pope-words", "pope-strict"));
        remove(asked.path("mmbench"), "circular", "plain");
        remove(asked.path("mmstar"), "micro", "macro");
        asked.path("pope-degenerate").forEach(set -> ((ObjectNode) set).retain("rows"));
        ObjectNode own = ScoringCases.aggregates(asked);
        for (Map.Entry<String, JsonNode> set : golden.properties()) {
            if (set.getKey().equals("pope-rows")) {
                continue; // the rows of the sets beside it
            }
            try (Findings.Tally tally = findings.tally("scoring/aggregates/" + set.getKey())) {
                compare("", own.path(set.getKey()), set.getValue(), tally);
            }
        }
        findings.json("scoring", "aggregates.json", own);
    }

    private static void remove(JsonNode node, String... fields) {
        if (node instanceof ObjectNode object) {
            object.remove(List.of(fields));
        }
    }

    private static void compare(String path, JsonNode actual, JsonNode expected, Findings.Tally tally) {
        if (path.endsWith("/rows")) {
            return; // what the figures are computed from
        }
        if (expected.isObject()) {
            expected.properties()
                    .forEach(field ->
                            compare(path + "/" + field.getKey(), actual.path(field.getKey()), field.getValue(), tally));
        } else if (expected.isArray()) {
            for (int i = 0; i < expected.size(); i++) {
                compare(path + "/" + i, actual.path(i), expected.get(i), tally);
            }
        } else {
            tally.equal(path, same(actual, expected), () -> actual + ", expected " + expected);
        }
    }

    private static boolean same(JsonNode actual, JsonNode expected) {
        if (expected.isNumber()) {
            return actual.isNumber() && Math.abs(actual.asDouble() - expected.asDouble()) <= ROUNDING;
        }
        if (expected.isNull()) {
            return actual.isNull() || actual.isMissingNode();
        }
        return actual.equals(expected);
    }
}
