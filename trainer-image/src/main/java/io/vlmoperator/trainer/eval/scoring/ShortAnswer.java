package io.vlmoperator.trainer.eval.scoring;

import java.util.List;
import java.util.Optional;

/** Rules for answers of a word or two: GQA's equality and POPE's yes and no. */
public final class ShortAnswer {
    private ShortAnswer() {}

    /** GQA: equal but for case and outer white space. */
    public static boolean same(String answer, String gold) {
        return Words.lower(Words.trim(answer)).equals(Words.lower(Words.trim(gold)));
    }

    /** GQA as lmms-eval scores it: {@link #same} without punctuation. */
    public static boolean sameWithoutPunctuation(String answer, String gold) {
        return same(Words.withoutPunctuation(answer), Words.withoutPunctuation(gold));
    }

    /** POPE's own reading: false if the first sentence has a word No, no or not; else true. Never open. */
    public static boolean yesByWords(String answer) {
        int end = answer.indexOf('.');
        List<String> words = Words.split((end < 0 ? answer : answer.substring(0, end)).replace(",", ""));
        return words.stream().noneMatch(word -> word.equals("No") || word.equals("no") || word.equals("not"));
    }

    /** The first word, without punctuation and case, is yes or no; anything else is open. */
    public static Optional<Boolean> yesStrictly(String answer) {
        List<String> words = Words.split(Words.lower(Words.withoutPunctuation(answer)));
        return switch (words.isEmpty() ? "" : words.getFirst()) {
            case "yes" -> Optional.of(true);
            case "no" -> Optional.of(false);
            default -> Optional.empty();
        };
    }
}
