package io.vlmoperator.trainer.eval.scoring;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** MMMU's parser. Where the official one draws an option at random, the answer stays open here. */
public final class Mmmu {
    private static final List<String> FORMS = List.of("(%s)", " %s ", "%s.");
    private static final Pattern INDICATOR = Pattern.compile(
            "\\b(?:so|thus|therefore|final|answer|result)\\b",
            Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CHARACTER_CLASS);
    private static final int WORDS_OF_A_SENTENCE = 5;

    private Mmmu() {}

    /** The last letter written as (X), else alone, else as X.; else the last option's text in an answer of more than five words. */
    public static Optional<String> choice(String answer, SequencedMap<String, String> options) {
        String text = " " + Words.trim(answer, ",.!?;:'") + " ";
        for (String form : FORMS) {
            Optional<String> found = last(options, letter -> text.lastIndexOf(form.formatted(letter)));
            if (found.isPresent()) {
                return found;
            }
        }
        if (Words.split(text).size() <= WORDS_OF_A_SENTENCE) {
            return Optional.empty();
        }
        String lower = Words.lower(text);
        return last(options, letter -> lower.lastIndexOf(Words.lower(options.get(letter))));
    }

    /**
     * An open answer: what follows the last of "so, thus, therefore, final, answer, result" holds a gold text or, to two decimals, a gold
     * number.
     */
    public static boolean open(String answer, List<String> golds) {
        String tail = tail(answer);
        List<Double> said = Numbers.in(tail).stream()
                .map(number -> Numbers.round(number, 2))
                .toList();
        for (String gold : golds) {
            OptionalDouble number = Numbers.parse(gold);
            if (number.isPresent()
                    ? said.stream().anyMatch(value -> value == Numbers.round(number.getAsDouble(), 2))
                    : Words.lower(tail).contains(Words.lower(gold))) {
                return true;
            }
        }
        return false;
    }

    private static String tail(String answer) {
        int start = 0;
        Matcher matcher = INDICATOR.matcher(answer);
        while (matcher.find()) {
            start = matcher.end();
        }
        return answer.substring(start);
    }

    private static Optional<String> last(SequencedMap<String, String> options, Function<String, Integer> position) {
        int best = -1;
        String found = "";
        for (String letter : options.keySet()) {
            int at = position.apply(letter);
            if (at > best) {
                best = at;
                found = letter;
            }
        }
        return best < 0 ? Optional.empty() : Optional.of(found);
    }
}
