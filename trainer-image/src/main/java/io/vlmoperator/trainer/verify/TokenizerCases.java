package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Strings and their ids: {@code tokenizer/qwen2_5.jsonl}, {@code tokenizer/facts.json} and {@code tokenizer/small}. */
final class TokenizerCases {
    private TokenizerCases() {}

    /** The small tokenizer of a reference, if it is there. */
    static Optional<Tokenizer> small(Path reference) {
        return load(reference.resolve("tokenizer/small"));
    }

    /** The full tokenizer: the given folder, or one beside the cases. */
    static Optional<Tokenizer> full(Path reference, Optional<Path> given) {
        if (given.isPresent()) {
            return Optional.of(Tokenizer.load(given.get()));
        }
        for (String place : List.of("tokenizer/qwen2_5", "tokenizer", ".")) {
            Optional<Tokenizer> found = load(reference.resolve(place));
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    private static Optional<Tokenizer> load(Path folder) {
        return Files.isRegularFile(folder.resolve("tokenizer.json"))
                ? Optional.of(Tokenizer.load(folder))
                : Optional.empty();
    }

    /**
     * Compares a file of strings.
     *
     * @param name for the lines and the dump: {@code qwen2_5} or {@code small/cases}
     */
    static void strings(Path file, String name, Tokenizer tokenizer, Findings findings) throws IOException {
        List<ObjectNode> own = new ArrayList<>();
        Map<String, Findings.Tally> tallies = new LinkedHashMap<>();
        String prefix = "tokenizer/" + name + "/";
        for (JsonNode golden : JsonRows.read(file)) {
            String text = golden.path("text").asText();
            String kind = golden.path("class").asText();
            int[] expected = JsonRows.ints(golden.path("ids"));
            int[] ids = tokenizer.encodeMarkup(text);
            String decoded = tokenizer.decode(ids, false);
            String shown = shown(text);
            tallies.computeIfAbsent(prefix + kind + "/ids", findings::tally)
                    .equal(shown, Arrays.equals(ids, expected), () -> difference(ids, expected));
            tallies.computeIfAbsent(prefix + kind + "/decoded", findings::tally)
                    .equal(shown, decoded, golden.path("decoded").asText(restored(text, name)));
            int[] plain = tokenizer.encode(text);
            if (tokenizer.specialTokenLiterals(text) == 0) {
                // Without a literal of a control token both ways of encoding must agree.
                tallies.computeIfAbsent(prefix + kind + "/ids as text from data", findings::tally)
                        .equal(shown, Arrays.equals(plain, expected), () -> difference(plain, expected));
            } else {
                tallies.computeIfAbsent(prefix + kind + "/no control token from data", findings::tally)
                        .equal(shown, Arrays.stream(plain).noneMatch(tokenizer::isControl), () -> "is forged");
            }
            ObjectNode row = golden.deepCopy();
            row.remove(List.of("ids_if_bos_had_a_new_id", "decoded"));
            row.set("ids", JsonRows.array(ids));
            if (!decoded.equals(text)) {
                row.put("decoded", decoded);
            }
            row.set("ids_as_text_from_data", JsonRows.array(plain));
            own.add(row);
        }
        tallies.values().forEach(Findings.Tally::close);
        findings.lines("tokenizer", name + ".jsonl", own);
    }

    /** The vocabulary's facts. */
    static void facts(Path file, Tokenizer tokenizer, Findings findings) throws IOException {
        JsonNode facts = new ObjectMapper().readTree(file.toFile());
        try (Findings.Tally tally = findings.tally("tokenizer/facts/added_tokens")) {
            facts.path("added_tokens")
                    .properties()
                    .forEach(token -> tally.equal(
                            token.getKey(),
                            Arrays.toString(tokenizer.encodeMarkup(token.getKey())),
                            "[" + token.getValue().asInt() + "]"));
        }
    }

    /** The small file does not say what decoding gives: the text in NFC. */
    private static String restored(String text, String name) {
        return name.startsWith("small") ? Normalizer.normalize(text, Normalizer.Form.NFC) : text;
    }

    private static String shown(String text) {
        return "'" + (text.length() <= 60 ? text : text.substring(0, 60) + "...") + "'";
    }

    static String difference(int[] actual, int[] expected) {
        int at = Arrays.mismatch(actual, expected);
        return "from id " + at + " on: " + part(actual, at) + ", expected " + part(expected, at);
    }

    private static String part(int[] ids, int at) {
        return Arrays.toString(Arrays.copyOfRange(ids, Math.min(at, ids.length), Math.min(at + 8, ids.length)));
    }
}
