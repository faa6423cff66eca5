package io.vlmoperator.trainer.eval.scoring;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Soft accuracy of VQAv2 and its kin against ten annotators: for each of them left out, {@code min(1, matches among the others / 3)}; the
 * mean over the ten. Answers are normalised first.
 */
public final class VqaAccuracy {
    /**
     * How periods are treated. The original script's look-behind is malformed and its flag is passed as a count; lmms-eval and the paper's
     * harness keep that, VLMEvalKit repaired it.
     */
    public enum Periods {
        /** A period goes unless a digit follows it; at most 32 of them. */
        Malformed,
        /** A period goes unless it touches a digit. */
        Repaired
    }

    /** How the annotators' answers are normalised. */
    public enum Truth {
        /** Like the prediction. */
        Full,
        /** Only the punctuation step (the paper's VQAv2). */
        Punctuation
    }

    private static final String MARKS = ";/[]\"{}()=+\\_-><@`,?!";
    private static final Pattern DIGIT_COMMA = Pattern.compile("\\d,\\d", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern MALFORMED = Pattern.compile("\\.(?!\\d)", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern REPAIRED = Pattern.compile("(?<!\\d)\\.(?!\\d)", Pattern.UNICODE_CHARACTER_CLASS);
    private static final int MALFORMED_COUNT = 32;
    private static final Set<String> ARTICLES = Set.of("a", "an", "the");
    private static final Map<String, String> NUMBERS = numbers();
    private static final Map<String, String> CONTRACTIONS = contractions();

    private VqaAccuracy() {}

    /** Score 0 to 1 of one answer. */
    public static double vqa(String answer, List<String> annotators, Periods periods, Truth truth) {
        List<String> golds = annotators.stream()
                .map(gold -> truth == Truth.Full ? normalise(gold, periods) : punctuation(oneLine(gold), periods))
                .toList();
        return leaveOneOut(normalise(answer, periods), golds);
    }

    /** TextVQA's variant: also lower case, no comma or question mark, the possessive apart. */
    public static double textVqa(String answer, List<String> annotators, Periods periods) {
        return leaveOneOut(
                normaliseText(answer, periods),
                annotators.stream().map(gold -> normaliseText(gold, periods)).toList());
    }

    /** White space, punctuation, number words, articles, contractions. */
    public static String normalise(String text, Periods periods) {
        return words(punctuation(oneLine(text), periods));
    }

    /** {@link #normalise} after TextVQA's own steps. */
    public static String normaliseText(String text, Periods periods) {
        String clean = Words.lower(text).replace(",", "").replace("?", "").replace("'s", " 's");
        return normalise(Words.trim(clean), periods);
    }

    private static double leaveOneOut(String answer, List<String> golds) {
        if (golds.isEmpty()) {
            return 0;
        }
        double sum = 0;
        for (int left = 0; left < golds.size(); left++) {
            int matches = 0;
            for (int i = 0; i < golds.size(); i++) {
                if (i != left && golds.get(i).equals(answer)) {
                    matches++;
                }
            }
            sum += Math.min(1.0, matches / 3.0);
        }
        return sum / golds.size();
    }

    private static String oneLine(String text) {
        return Words.trim(text.replace('\n', ' ').replace('\t', ' '));
    }

    private static String punctuation(String text, Periods periods) {
        boolean digitComma = DIGIT_COMMA.matcher(text).find();
        String out = text;
        for (int i = 0; i < MARKS.length(); i++) {
            String mark = MARKS.substring(i, i + 1);
            boolean nearSpace = text.contains(mark + " ") || text.contains(" " + mark);
            out = out.replace(mark, nearSpace || digitComma ? "" : " ");
        }
        return periods == Periods.Repaired ? REPAIRED.matcher(out).replaceAll("") : withoutFirstPeriods(out);
    }

    private static String withoutFirstPeriods(String text) {
        Matcher matcher = MALFORMED.matcher(text);
        StringBuilder out = new StringBuilder(text.length());
        for (int count = 0; count < MALFORMED_COUNT && matcher.find(); count++) {
            matcher.appendReplacement(out, "");
        }
        return matcher.appendTail(out).toString();
    }

    private static String words(String text) {
        return Words.split(Words.lower(text)).stream()
                .map(word -> NUMBERS.getOrDefault(word, word))
                .filter(word -> !ARTICLES.contains(word))
                .map(word -> CONTRACTIONS.getOrDefault(word, word))
                .collect(Collectors.joining(" "));
    }

    private static Map<String, String> numbers() {
        Map<String, String> numbers = new HashMap<>();
        List<String> names =
                List.of("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten");
        for (int i = 0; i < names.size(); i++) {
            numbers.put(names.get(i), Integer.toString(i));
        }
        numbers.put("none", "0");
        return Map.copyOf(numbers);
    }

    private static Map<String, String> contractions() {
        Map<String, String> forms = new HashMap<>();
        for (String stem : Words.split(
                "ai are ca could did does do had has have is might must need ought should was were " + "wo would")) {
            forms.put(stem + "nt", stem + "n't");
        }
        for (String stem : Words.split("could might must should would i we they you who what")) {
            forms.put(stem + "ve", stem + "'ve");
        }
        for (String form : Words.split("i'm he's she's that's there's what's who's where's how's you're they're you'll "
                + "it'll o'clock y'all ma'am")) {
            forms.put(form.replace("'", ""), form);
        }
        return Map.copyOf(forms);
    }
}
