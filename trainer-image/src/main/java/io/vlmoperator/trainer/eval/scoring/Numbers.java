package io.vlmoperator.trainer.eval.scoring;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.OptionalDouble;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Numbers in answers. */
final class Numbers {
    private static final Pattern NUMBER =
            Pattern.compile("-?\\d[\\d,]*(?:\\.\\d+)?|-?\\.\\d+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern MARK = Pattern.compile("answer is|=", Pattern.CASE_INSENSITIVE);
    private static final Pattern LITERAL =
            Pattern.compile("[+-]?(?:\\d+(?:_\\d+)*\\.?(?:\\d+(?:_\\d+)*)?|\\.\\d+(?:_\\d+)*)(?:[eE][+-]?\\d+)?");
    /** Longer digit strings are no answer to anything, and exact arithmetic on them would take long. */
    private static final int LONGEST = 400;

    private Numbers() {}

    /** The whole text as a finite number; grouping commas are dropped. */
    static OptionalDouble parse(String text) {
        String clean = Words.trim(text.replace(",", ""));
        if (clean.length() > LONGEST || !LITERAL.matcher(clean).matches()) {
            return OptionalDouble.empty();
        }
        double value = Double.parseDouble(clean.replace("_", ""));
        return Double.isFinite(value) ? OptionalDouble.of(value) : OptionalDouble.empty();
    }

    /** The number meant: the whole text, else the first after the last "answer is" or "=", else the last one. */
    static OptionalDouble meant(String text) {
        String clean = Words.trimEnd(Words.trim(text), '.').replace("$", "").replace("%", "");
        OptionalDouble whole = parse(clean);
        if (whole.isPresent()) {
            return whole;
        }
        int after = MARK.matcher(text)
                .results()
                .mapToInt(MatchResult::end)
                .reduce((first, second) -> second)
                .orElse(-1);
        if (after >= 0) {
            Matcher next = NUMBER.matcher(text);
            if (next.find(after)) {
                return parse(ascii(next.group()));
            }
        }
        return NUMBER.matcher(text)
                .results()
                .map(MatchResult::group)
                .reduce((first, second) -> second)
                .map(last -> parse(ascii(last)))
                .orElse(OptionalDouble.empty());
    }

    /** Every number of the text. */
    static List<Double> in(String text) {
        return NUMBER.matcher(text)
                .results()
                .map(match -> parse(ascii(match.group())))
                .filter(OptionalDouble::isPresent)
                .map(OptionalDouble::getAsDouble)
                .toList();
    }

    /** Half to even on the exact binary value: 3.75 gives 3.8 and 0.125 gives 0.12. */
    static double round(double value, int digits) {
        return new BigDecimal(value).setScale(digits, RoundingMode.HALF_EVEN).doubleValue();
    }

    /** Towards zero. */
    static String whole(double value) {
        return new BigDecimal(value).toBigInteger().toString();
    }

    /** Shortest decimal form, always with a fraction: {@code 12.0}. */
    static String text(double value) {
        String plain = new BigDecimal(Double.toString(value)).toPlainString();
        return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }

    private static String ascii(String digits) {
        StringBuilder out = new StringBuilder(digits.length());
        for (int i = 0; i < digits.length(); i++) {
            char c = digits.charAt(i);
            int digit = Character.digit(c, 10);
            out.append(digit < 0 ? c : (char) ('0' + digit));
        }
        return out.toString();
    }
}
