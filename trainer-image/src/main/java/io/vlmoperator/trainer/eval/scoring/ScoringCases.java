package io.vlmoperator.trainer.eval.scoring;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.trainer.eval.scoring.VqaAccuracy.Periods;
import io.vlmoperator.trainer.eval.scoring.VqaAccuracy.Truth;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * Runs the rules on recorded cases: one JSON object a row with {@code protocol}, {@code prediction} and what the rule needs; the result is
 * the same object with {@code score}, {@code inferred}, {@code normalised} or {@code extracted} computed anew.
 */
public final class ScoringCases {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final String UNRESOLVED = "Z";

    private ScoringCases() {}

    /**
     * Computes one row.
     *
     * @throws IllegalArgumentException if the protocol is unknown
     */
    public static ObjectNode row(JsonNode given) {
        ObjectNode row = given.deepCopy();
        String said = row.path("prediction").asText();
        String gold = row.path("gold").isTextual() ? row.path("gold").asText() : "";
        String protocol = row.path("protocol").asText();
        switch (protocol) {
            case "mcq-paper-lenient" -> score(row, MultipleChoice.contains(said, gold));
            case "mcq-paper-lenient-case-sensitive" -> score(row, MultipleChoice.containsExactly(said, gold));
            case "mcq-letter-inference" -> {
                Optional<String> letter = MultipleChoice.infer(said, options(row));
                row.put("inferred", letter.orElse(UNRESOLVED));
                score(row, letter.filter(gold::equals).isPresent());
            }
            case "seed-first-character" -> score(row, MultipleChoice.firstCharacterIs(said, gold));
            case "mmmu-choice" -> {
                Optional<String> letter = Mmmu.choice(said, options(row));
                row.put("inferred", letter.orElse(null));
                score(row, letter.filter(gold::equals).isPresent());
            }
            case "mmmu-open" -> score(row, Mmmu.open(said, texts(row.path("gold"))));
            case "gqa-plain" -> score(row, ShortAnswer.same(said, gold));
            case "gqa-no-punctuation" -> score(row, ShortAnswer.sameWithoutPunctuation(said, gold));
            case "pope-words" -> row.put("inferred", yesNo(Optional.of(ShortAnswer.yesByWords(said))));
            case "pope-strict" -> row.put("inferred", yesNo(ShortAnswer.yesStrictly(said)));
            case "mathvista-no-judge" -> {
                MathVista.Verdict verdict = MathVista.score(said, mathGold(row));
                row.put("extracted", verdict.extracted().orElse(null));
                score(row, verdict.hit());
            }
            default -> vqa(row, protocol, said);
        }
        return row;
    }

    /** Computes every aggregate of a recorded set whose rows are given. */
    public static ObjectNode aggregates(JsonNode given) {
        ObjectNode out = given.deepCopy();
        List<Aggregate.Row> circular = new ArrayList<>();
        for (JsonNode row : given.path("mmbench").path("rows")) {
            circular.add(new Aggregate.Row(row.get(0).asLong(), "", row.get(1).asDouble() > 0));
        }
        ((ObjectNode) out.get("mmbench"))
                .put("circular", Aggregate.micro(Aggregate.circular(circular)))
                .put("plain", Aggregate.micro(circular));
        List<Aggregate.Row> plain = new ArrayList<>();
        for (JsonNode row : given.path("mmstar").path("rows")) {
            plain.add(new Aggregate.Row(
                    plain.size(), row.get(0).asText(), row.get(1).asDouble() > 0));
        }
        ((ObjectNode) out.get("mmstar")).put("micro", Aggregate.micro(plain)).put("macro", Aggregate.macro(plain));
        out.set("pope-words", popeSplits(given.path("pope-rows"), true));
        out.set("pope-strict", popeSplits(given.path("pope-rows"), false));
        for (JsonNode degenerate : out.path("pope-degenerate")) {
            List<Pope.Row> rows = new ArrayList<>();
            for (JsonNode row : degenerate.path("rows")) {
                rows.add(new Pope.Row(Optional.of(isYes(row.get(0))), isYes(row.get(1))));
            }
            figures((ObjectNode) degenerate, Pope.of(rows));
        }
        return out;
    }

    private static void vqa(ObjectNode row, String protocol, String said) {
        Periods periods = protocol.contains("malformed") ? Periods.Malformed : Periods.Repaired;
        List<String> golds = texts(row.path("gold"));
        switch (protocol) {
            case "vqa-normalise-malformed", "vqa-normalise-repaired" ->
                row.put("normalised", VqaAccuracy.normalise(said, periods));
            case "textvqa-normalise-malformed", "textvqa-normalise-repaired" ->
                row.put("normalised", VqaAccuracy.normaliseText(said, periods));
            case "vqa-malformed", "vqa-repaired" -> row.put("score", VqaAccuracy.vqa(said, golds, periods, Truth.Full));
            case "vqa-malformed-truth-punctuation-only" ->
                row.put("score", VqaAccuracy.vqa(said, golds, periods, Truth.Punctuation));
            case "textvqa-malformed", "textvqa-repaired" -> row.put("score", VqaAccuracy.textVqa(said, golds, periods));
            default -> throw new IllegalArgumentException("unknown scoring protocol \"" + protocol + "\"");
        }
    }

    private static ObjectNode popeSplits(JsonNode raw, boolean byWords) {
        ObjectNode splits = JSON.objectNode();
        List<Pope> all = new ArrayList<>();
        long unparsed = 0;
        for (var split : raw.properties()) {
            List<Pope.Row> rows = new ArrayList<>();
            for (JsonNode row : split.getValue()) {
                String text = row.get(0).asText();
                Optional<Boolean> said =
                        byWords ? Optional.of(ShortAnswer.yesByWords(text)) : ShortAnswer.yesStrictly(text);
                unparsed += said.isEmpty() ? 1 : 0;
                rows.add(new Pope.Row(said, isYes(row.get(1))));
            }
            Pope pope = Pope.of(rows);
            all.add(pope);
            figures(splits.putObject(split.getKey()), pope);
        }
        ObjectNode out = JSON.objectNode();
        out.set("splits", splits);
        figures(out.putObject("mean"), Pope.mean(all));
        return out.put("unparsed", unparsed);
    }

    private static void figures(ObjectNode into, Pope pope) {
        into.put("accuracy", pope.accuracy())
                .put("precision", pope.precision())
                .put("recall", pope.recall())
                .put("f1", pope.f1())
                .put("yes_ratio", pope.yesRatio());
    }

    private static MathVista.Gold mathGold(JsonNode row) {
        String gold = row.path("gold").asText();
        if (row.path("question_type").asText().equals("multi_choice")) {
            return new MathVista.Gold.Choice(gold, texts(row.path("choices")));
        }
        return switch (row.path("answer_type").asText()) {
            case "integer" -> new MathVista.Gold.Whole(Double.parseDouble(gold));
            case "float" ->
                new MathVista.Gold.Decimal(
                        Double.parseDouble(gold), row.path("precision").asInt());
            default -> new MathVista.Gold.Text(gold);
        };
    }

    private static SequencedMap<String, String> options(JsonNode row) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        row.path("options")
                .properties()
                .forEach(
                        option -> options.put(option.getKey(), option.getValue().asText()));
        return options;
    }

    private static List<String> texts(JsonNode array) {
        List<String> texts = new ArrayList<>();
        if (array instanceof ArrayNode) {
            array.forEach(text -> texts.add(text.asText()));
        }
        return texts;
    }

    private static void score(ObjectNode row, boolean hit) {
        row.put("score", hit ? 1.0 : 0.0);
    }

    private static String yesNo(Optional<Boolean> yes) {
        return yes.map(said -> said ? "yes" : "no").orElse(null);
    }

    private static boolean isYes(JsonNode text) {
        return text.asText().equals("yes");
    }
}
