package io.vlmoperator.trainer.text;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/**
 * Ids of ASCII text from those of its words. A byte-level BPE tokenizer cuts a text into words by a pattern and merges inside of each, so a
 * word that was seen has its ids already. Only Qwen2's pattern is known, and only ASCII is cut here: what a letter is beyond it is left to
 * the library. The library alone says what ids a word has.
 */
final class WordIds {
    /** How Qwen2, Qwen2.5 and Qwen3 cut text. */
    private static final String PATTERN =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    private static final int MAX_WORD = 32;
    private static final int MAX_WORDS = 50_000;

    private final Function<String, int[]> library;
    private final ConcurrentHashMap<String, int[]> words = new ConcurrentHashMap<>();

    private WordIds(Function<String, int[]> library) {
        this.library = library;
    }

    /**
     * Empty where the tokenizer does more, or other, than this class knows.
     *
     * @param json of the tokenizer, without added tokens
     * @param library encodes with this very tokenizer
     */
    static Optional<WordIds> of(JsonNode json, Function<String, int[]> library) {
        JsonNode normalizer = json.path("normalizer");
        JsonNode steps = json.path("pre_tokenizer").path("pretokenizers");
        JsonNode split = steps.path(0);
        JsonNode bytes = steps.path(1);
        JsonNode model = json.path("model");
        boolean known = isAbsent(normalizer) || normalizer.path("type").asText().equals("NFC"); // leaves ASCII alone
        known &= json.path("pre_tokenizer").path("type").asText().equals("Sequence") && steps.size() == 2;
        known &= split.path("type").asText().equals("Split")
                && split.path("pattern").path("Regex").asText().equals(PATTERN)
                && split.path("behavior").asText().equals("Isolated")
                && !split.path("invert").asBoolean(true);
        known &= bytes.path("type").asText().equals("ByteLevel")
                && !bytes.path("add_prefix_space").asBoolean(true)
                && !bytes.path("use_regex").asBoolean(true);
        known &= model.path("dropout").asDouble(0) == 0
                && model.path("continuing_subword_prefix").asText("").isEmpty()
                && model.path("end_of_word_suffix").asText("").isEmpty();
        return known ? Optional.of(new WordIds(library)) : Optional.empty();
    }

    private static boolean isAbsent(JsonNode node) {
        return node.isMissingNode() || node.isNull();
    }

    /** The ids, or empty when the library has to be asked about the whole text: it is not ASCII, or holds too many new words. */
    Optional<int[]> encode(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c >= 0x7F || c < ' ' && c != '\n' && c != '\t' && c != '\r') {
                return Optional.empty();
            }
        }
        int[] ids = new int[text.length()]; // no token is empty
        int count = 0;
        for (int from = 0; from < text.length(); ) {
            int to = end(text, from);
            int[] word = to - from > MAX_WORD ? null : word(text.substring(from, to));
            if (word == null) {
                return Optional.empty();
            }
            for (int id : word) {
                ids[count++] = id;
            }
            from = to;
        }
        return Optional.of(Arrays.copyOf(ids, count));
    }

    /** Null when it is new and there is no room left. */
    private int[] word(String word) {
        int[] ids = words.get(word);
        if (ids == null && words.size() < MAX_WORDS) {
            ids = library.apply(word);
            words.put(word, ids);
        }
        return ids;
    }

    /**
     * Where the word ends that begins at {@code from}: the first alternative of {@link #PATTERN} that matches there. For ASCII only.
     */
    static int end(String text, int from) {
        char c = text.charAt(from);
        if (c == '\'') {
            int contraction = contraction(text, from + 1);
            if (contraction > 0) {
                return from + 1 + contraction;
            }
        }
        if (isLetter(c)) {
            return letters(text, from + 1);
        }
        boolean newline = c == '\n' || c == '\r';
        if (!newline && !isDigit(c) && from + 1 < text.length() && isLetter(text.charAt(from + 1))) {
            return letters(text, from + 2);
        }
        if (isDigit(c)) {
            return from + 1;
        }
        int sign = c == ' ' ? from + 1 : from;
        if (sign < text.length() && isSign(text.charAt(sign))) {
            int end = sign + 1;
            while (end < text.length() && isSign(text.charAt(end))) {
                end++;
            }
            while (end < text.length() && (text.charAt(end) == '\n' || text.charAt(end) == '\r')) {
                end++;
            }
            return end;
        }
        return spaces(text, from);
    }

    /** Spaces up to the last newline among them; else all of them at the end of the text, all but one in front of something else. */
    private static int spaces(String text, int from) {
        int end = from;
        int behindNewline = from;
        while (end < text.length() && isSpace(text.charAt(end))) {
            char c = text.charAt(end++);
            if (c == '\n' || c == '\r') {
                behindNewline = end;
            }
        }
        if (behindNewline > from) {
            return behindNewline;
        }
        return end == text.length() || end == from + 1 ? end : end - 1;
    }

    /** Length of s, t, m, d, re, ve or ll at this place, 0 when there is none. */
    private static int contraction(String text, int at) {
        if (at >= text.length()) {
            return 0;
        }
        char first = lower(text.charAt(at));
        if (first == 's' || first == 't' || first == 'm' || first == 'd') {
            return 1;
        }
        char second = at + 1 < text.length() ? lower(text.charAt(at + 1)) : 0;
        boolean two = (first == 'r' || first == 'v') && second == 'e' || first == 'l' && second == 'l';
        return two ? 2 : 0;
    }

    private static int letters(String text, int from) {
        int end = from;
        while (end < text.length() && isLetter(text.charAt(end))) {
            end++;
        }
        return end;
    }

    private static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
    }

    private static boolean isLetter(char c) {
        char lower = lower(c);
        return lower >= 'a' && lower <= 'z';
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private static boolean isSpace(char c) {
        return c == ' ' || c >= '\t' && c <= '\r';
    }

    private static boolean isSign(char c) {
        return !isLetter(c) && !isDigit(c) && !isSpace(c);
    }
}
