package io.vlmoperator.trainer.eval.scoring;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SequencedMap;

/** MathVista without a judge: rules only, where the official protocol asks a language model to extract the answer. */
public final class MathVista {
    private MathVista() {}

    /** What is right. */
    public sealed interface Gold {
        /**
         * @param text of the right choice
         * @param choices lettered A, B, ... in this order
         */
        record Choice(String text, List<String> choices) implements Gold {}

        /** Compared without what follows the decimal point. */
        record Whole(double value) implements Gold {}

        /**
         * @param digits after the decimal point that are compared
         */
        record Decimal(double value, int digits) implements Gold {}

        /** Compared without case and a final period. */
        record Text(String text) implements Gold {}
    }

    /**
     * @param extracted what was taken as the answer; empty: nothing was found, which is wrong
     */
    public record Verdict(boolean hit, Optional<String> extracted) {}

    /** Scores one answer. */
    public static Verdict score(String answer, Gold gold) {
        return switch (gold) {
            case Gold.Choice(String text, List<String> choices) -> {
                Optional<String> extracted = choice(answer, choices);
                yield new Verdict(extracted.filter(text::equals).isPresent(), extracted);
            }
            case Gold.Whole(double value) -> {
                OptionalDouble number = Numbers.meant(answer);
                if (number.isEmpty()) {
                    yield open();
                }
                String whole = Numbers.whole(number.getAsDouble());
                yield new Verdict(whole.equals(Numbers.whole(value)), Optional.of(whole));
            }
            case Gold.Decimal(double value, int digits) -> {
                OptionalDouble number = Numbers.meant(answer);
                if (number.isEmpty()) {
                    yield open();
                }
                double rounded = Numbers.round(number.getAsDouble(), digits);
                yield new Verdict(rounded == Numbers.round(value, digits), Optional.of(Numbers.text(rounded)));
            }
            case Gold.Text(String text) -> {
                String said = Words.trimEnd(Words.trim(answer), '.');
                yield new Verdict(Words.lower(said).equals(Words.lower(Words.trim(text))), Optional.of(said));
            }
        };
    }

    private static Verdict open() {
        return new Verdict(false, Optional.empty());
    }

    /** The inferred letter's choice, else the nearest by edit distance of an answer that is not much longer than a choice. */
    private static Optional<String> choice(String answer, List<String> choices) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        for (String text : choices) {
            options.put(Character.toString('A' + options.size()), text);
        }
        Optional<String> letter = MultipleChoice.infer(answer, options);
        if (letter.isPresent()) {
            return letter.map(options::get);
        }
        String said = Words.trim(answer);
        int longest = choices.stream().mapToInt(Words::length).max().orElse(0);
        if (said.isEmpty() || Words.length(said) > 2 * longest) {
            return Optional.empty();
        }
        String lower = Words.lower(said);
        String nearest = choices.getFirst();
        int least = Integer.MAX_VALUE;
        for (String text : choices) {
            int distance = editDistance(Words.lower(text), lower);
            if (distance < least) {
                least = distance;
                nearest = text;
            }
        }
        return Optional.of(nearest);
    }

    /** Levenshtein's, in code points. */
    static int editDistance(String a, String b) {
        int[] from = a.codePoints().toArray();
        int[] to = b.codePoints().toArray();
        int[] row = new int[to.length + 1];
        for (int j = 0; j <= to.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= from.length; i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.length; j++) {
                int above = row[j];
                int change = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                row[j] = Math.min(Math.min(row[j], row[j - 1]) + 1, change);
                diagonal = above;
            }
        }
        return row[to.length];
    }
}
