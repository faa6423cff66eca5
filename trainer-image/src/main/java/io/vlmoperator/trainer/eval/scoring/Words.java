package io.vlmoperator.trainer.eval.scoring;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Splits and trims text the way the benchmarks' scripts do: white space is Unicode's, no-break space included. */
final class Words {
    private static final String PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    private Words() {}

    static boolean isSpace(int codePoint) {
        return Character.isWhitespace(codePoint) || Character.isSpaceChar(codePoint) || codePoint == 0x85;
    }

    /** The stretches between white space; none of them is empty. */
    static List<String> split(String text) {
        List<String> words = new ArrayList<>();
        int start = -1;
        for (int i = 0; i < text.length(); i++) {
            boolean space = isSpace(text.charAt(i));
            if (space && start >= 0) {
                words.add(text.substring(start, i));
                start = -1;
            } else if (!space && start < 0) {
                start = i;
            }
        }
        if (start >= 0) {
            words.add(text.substring(start));
        }
        return words;
    }

    static String trim(String text) {
        int start = 0;
        int end = text.length();
        while (start < end && isSpace(text.charAt(start))) {
            start++;
        }
        while (end > start && isSpace(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(start, end);
    }

    /** Removes every leading and trailing character that is one of {@code marks}. */
    static String trim(String text, String marks) {
        int start = 0;
        int end = text.length();
        while (start < end && marks.indexOf(text.charAt(start)) >= 0) {
            start++;
        }
        while (end > start && marks.indexOf(text.charAt(end - 1)) >= 0) {
            end--;
        }
        return text.substring(start, end);
    }

    static String trimEnd(String text, char mark) {
        int end = text.length();
        while (end > 0 && text.charAt(end - 1) == mark) {
            end--;
        }
        return text.substring(0, end);
    }

    static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    /** Without ASCII punctuation. */
    static String withoutPunctuation(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            if (PUNCTUATION.indexOf(text.charAt(i)) < 0) {
                out.append(text.charAt(i));
            }
        }
        return out.toString();
    }

    /** Length in code points. */
    static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
