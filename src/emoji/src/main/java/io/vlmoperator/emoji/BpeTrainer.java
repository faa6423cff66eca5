package io.vlmoperator.emoji;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Learns a byte-level BPE: texts are normalised to NFC, split by Qwen2.5's pattern, and turned into bytes; then the most frequent
 * pair of neighbours becomes a new entry until there are enough. Pairs of equal frequency go in the order of their texts, so
 * the same texts always give the same vocabulary.
 */
final class BpeTrainer {
    /** How Qwen2.5 splits text before pairs are merged; merges never cross such a boundary. */
    static final String SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
            + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    private static final Pattern PIECE = Pattern.compile(SPLIT, Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE);
    private static final String[] BYTE_TEXT = byteTexts();

    /**
     * @param vocabulary entries in the order of their ids: first the 256 bytes, then one per merge
     * @param merges pairs of entries in the order in which they are applied
     */
    record Bpe(List<String> vocabulary, List<Merge> merges) {
        Bpe {
            vocabulary = List.copyOf(vocabulary);
            merges = List.copyOf(merges);
        }
    }

    /** Two neighbours that become one entry. */
    record Merge(String left, String right) implements Comparable<Merge> {
        private static final Comparator<Merge> ORDER =
                Comparator.comparing(Merge::left).thenComparing(Merge::right);

        @Override
        public int compareTo(Merge other) {
            return ORDER.compare(this, other);
        }
    }

    private static final class Word {
        private final long count;
        private List<String> parts;

        Word(List<String> parts, long count) {
            this.parts = parts;
            this.count = count;
        }
    }

    private BpeTrainer() {}

    /**
     * @param texts how often each text counts
     * @param size entries wanted, 256 or more
     * @throws EmojiException when the texts have too few different pairs for that many entries
     */
    static Bpe train(Map<String, Integer> texts, int size) {
        List<Word> words = words(texts);
        List<String> vocabulary = new ArrayList<>(byteVocabulary());
        List<Merge> merges = new ArrayList<>();
        while (vocabulary.size() < size) {
            Merge best = mostFrequent(words)
                    .orElseThrow(() -> new EmojiException(
                            "The texts give only " + vocabulary.size() + " of " + size + " entries: add texts."));
            merges.add(best);
            vocabulary.add(best.left() + best.right());
            words.forEach(word -> word.parts = merged(word.parts, best));
        }
        return new Bpe(vocabulary, merges);
    }

    /** Splits a text as the finished tokenizer does and applies the merges in their order. @return entries of the vocabulary */
    static List<String> encode(Bpe bpe, String text) {
        Map<Merge, Integer> ranks = new HashMap<>();
        bpe.merges().forEach(merge -> ranks.put(merge, ranks.size()));
        List<String> entries = new ArrayList<>();
        for (String piece : pieces(text)) {
            List<String> parts = bytes(piece);
            while (true) {
                Merge first = null;
                for (int i = 0; i + 1 < parts.size(); i++) {
                    Merge pair = new Merge(parts.get(i), parts.get(i + 1));
                    if (ranks.containsKey(pair) && (first == null || ranks.get(pair) < ranks.get(first))) {
                        first = pair;
                    }
                }
                if (first == null) {
                    break;
                }
                parts = merged(parts, first);
            }
            entries.addAll(parts);
        }
        return entries;
    }

    /** The 256 byte entries in the order of Qwen2.5's ids. */
    static List<String> byteVocabulary() {
        return List.of(BYTE_TEXT).stream().sorted().toList();
    }

    private static List<Word> words(Map<String, Integer> texts) {
        Map<String, Long> counts = new TreeMap<>();
        texts.forEach((text, count) -> pieces(text).forEach(piece -> counts.merge(piece, (long) count, Long::sum)));
        List<Word> words = new ArrayList<>();
        counts.forEach((piece, count) -> words.add(new Word(bytes(piece), count)));
        return words;
    }

    private static List<String> pieces(String text) {
        List<String> pieces = new ArrayList<>();
        Matcher matcher = PIECE.matcher(Normalizer.normalize(text, Normalizer.Form.NFC));
        while (matcher.find()) {
            pieces.add(matcher.group());
        }
        return pieces;
    }

    private static List<String> bytes(String piece) {
        List<String> parts = new ArrayList<>();
        for (byte b : piece.getBytes(StandardCharsets.UTF_8)) {
            parts.add(BYTE_TEXT[b & 0xff]);
        }
        return parts;
    }

    private static java.util.Optional<Merge> mostFrequent(List<Word> words) {
        Map<Merge, Long> counts = new LinkedHashMap<>();
        for (Word word : words) {
            for (int i = 0; i + 1 < word.parts.size(); i++) {
                counts.merge(new Merge(word.parts.get(i), word.parts.get(i + 1)), word.count, Long::sum);
            }
        }
        return counts.entrySet().stream()
                .min(Map.Entry.<Merge, Long>comparingByValue().reversed().thenComparing(Map.Entry.comparingByKey()))
                .map(Map.Entry::getKey);
    }

    private static List<String> merged(List<String> parts, Merge merge) {
        List<String> result = new ArrayList<>(parts.size());
        for (int i = 0; i < parts.size(); i++) {
            if (i + 1 < parts.size()
                    && parts.get(i).equals(merge.left())
                    && parts.get(i + 1).equals(merge.right())) {
                result.add(merge.left() + merge.right());
                i++;
            } else {
                result.add(parts.get(i));
            }
        }
        return result;
    }

    /** Every byte as one printable character: visible Latin-1 stands for itself, the rest follows from U+0100 on. */
    private static String[] byteTexts() {
        String[] texts = new String[256];
        int next = 256;
        for (int b = 0; b < 256; b++) {
            boolean visible = b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae;
            texts[b] = Character.toString(visible ? b : next++);
        }
        return texts;
    }
}
