package io.vlmoperator.trainer.eval.scoring;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Rules that read a letter out of a generated answer. {@code options} maps letters ("A", "B", ...) to the options' texts in the order of
 * the question.
 */
public final class MultipleChoice {
    private static final List<String> REFUSALS =
            List.of("sorry, i can't", "i can't process", "without the image", "cannot determine the answer");
    private static final String BREAKS = ".()[],:;!*#{}";
    private static final Pattern VERBOSE = Pattern.compile(
            "\\banswer is\\s*:?\\s*[(\\[*]*([A-D])(?![A-Za-z])",
            Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CHARACTER_CLASS);
    /** A letter counts as the answer only among this many last words. */
    private static final int LAST_WORDS = 5;

    private MultipleChoice() {}

    /**
     * What {@code Strict} reads: letter inference; where that leaves the answer open, the one option whose text is the whole answer (case,
     * outer white space and a final period aside). "cat face" thus answers the option "cat face" although "cat" is also an option.
     */
    public static Optional<String> strict(String answer, SequencedMap<String, String> options) {
        Optional<String> inferred = infer(answer, options);
        return inferred.isPresent() ? inferred : sameText(answer, options);
    }

    /**
     * Letter inference without a judge, as VLMEvalKit's exact mode: refusals are no answer; else one option letter alone among the last
     * words; else "answer is X"; else exactly one option's text held by an answer that is at most twice as long as all options together.
     */
    public static Optional<String> infer(String answer, SequencedMap<String, String> options) {
        String lower = Words.lower(answer);
        if (refuses(lower)) {
            return Optional.empty();
        }
        List<String> words = Words.split(spaced(answer));
        List<String> letters = options.keySet().stream().filter(words::contains).toList();
        if (letters.size() == 1 && words.indexOf(letters.getFirst()) > words.size() - LAST_WORDS) {
            return Optional.of(letters.getFirst());
        }
        Matcher verbose = VERBOSE.matcher(answer);
        if (verbose.find() && options.containsKey(verbose.group(1))) {
            return Optional.of(verbose.group(1));
        }
        int total = options.values().stream().mapToInt(Words::length).sum();
        if (Words.length(answer) > 2 * total) {
            return Optional.empty();
        }
        return only(options.entrySet().stream()
                .filter(option -> lower.contains(Words.lower(option.getValue())))
                .map(Map.Entry::getKey)
                .toList());
    }

    /** The one option whose text is the whole answer. */
    static Optional<String> sameText(String answer, SequencedMap<String, String> options) {
        String said = bare(answer);
        return only(options.entrySet().stream()
                .filter(option -> !said.isEmpty() && said.equals(bare(option.getValue())))
                .map(Map.Entry::getKey)
                .toList());
    }

    /** The paper's harness: the gold letter stands anywhere in the answer, so that {@code abcd} is always right. */
    public static boolean contains(String answer, String gold) {
        return Words.lower(answer).contains(Words.lower(gold));
    }

    /** The same, with regard to case (the paper's MMStar). */
    public static boolean containsExactly(String answer, String gold) {
        return answer.contains(gold);
    }

    /** SEED-Bench in its strict form: the first character that is no white space, in upper case. */
    public static boolean firstCharacterIs(String answer, String gold) {
        String text = Words.trim(answer);
        return !text.isEmpty()
                && text.substring(0, text.offsetByCodePoints(0, 1))
                        .toUpperCase(Locale.ROOT)
                        .equals(gold);
    }

    private static boolean refuses(String lower) {
        return REFUSALS.stream().anyMatch(lower::contains);
    }

    private static Optional<String> only(List<String> letters) {
        return letters.size() == 1 ? Optional.of(letters.getFirst()) : Optional.empty();
    }

    private static String bare(String text) {
        return Words.trim(Words.lower(Words.trimEnd(Words.trim(text), '.')));
    }

    private static String spaced(String text) {
        StringBuilder out = new StringBuilder(text);
        for (int i = 0; i < out.length(); i++) {
            if (BREAKS.indexOf(out.charAt(i)) >= 0) {
                out.setCharAt(i, ' ');
            }
        }
        return out.toString();
    }
}
