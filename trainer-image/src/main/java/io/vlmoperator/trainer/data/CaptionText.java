package io.vlmoperator.trainer.data;

import java.util.HashSet;
import java.util.Locale;
import java.util.Set;

/** Measures of a text that need no language: what rules on captions look at. */
final class CaptionText {
    private CaptionText() {}

    /** Letters, digits and the marks on them, as a share of all code points that are not white space; 1 without any. */
    static double letterShare(String text) {
        long all = 0;
        long letters = 0;
        for (int at = 0; at < text.length(); ) {
            int c = text.codePointAt(at);
            at += Character.charCount(c);
            if (Character.isWhitespace(c) || Character.isSpaceChar(c)) {
                continue;
            }
            all++;
            boolean mark = switch (Character.getType(c)) {
                case Character.NON_SPACING_MARK, Character.COMBINING_SPACING_MARK, Character.ENCLOSING_MARK -> true;
                default -> false;
            };
            letters += mark || Character.isLetterOrDigit(c) ? 1 : 0;
        }
        return all == 0 ? 1 : (double) letters / all;
    }

    /** Words, between white space, that stood before in the text, as a share of all words; 0 without any. */
    static double repeatedWords(String text) {
        Set<String> words = new HashSet<>();
        long all = 0;
        for (String word : text.split("[\\s\\p{Z}]+")) {
            if (!word.isEmpty()) {
                all++;
                words.add(word.toLowerCase(Locale.ROOT));
            }
        }
        return all == 0 ? 0 : (double) (all - words.size()) / all;
    }
}
