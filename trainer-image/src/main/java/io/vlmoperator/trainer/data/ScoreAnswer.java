package io.vlmoperator.trainer.data;

import java.util.OptionalInt;

/** Reads a filter model's answer as MLM-Filter's scripts do: the first line, without commas and semicolons, is a whole number. */
final class ScoreAnswer {
    static final int MOST = 100;
    /** Longer answers are kept in part: they are for people who look for the reason. */
    private static final int MAX_TEXT = 64;

    private ScoreAnswer() {}

    /** The score, 0 to {@value #MOST}; empty when the answer is none. */
    static OptionalInt parse(String answer) {
        String line = answer.strip().lines().findFirst().orElse("");
        String digits = line.replace(",", "").replace(";", "").strip();
        if (!digits.matches("\\+?[0-9]{1,9}")) {
            return OptionalInt.empty();
        }
        int score = Integer.parseInt(digits);
        return score <= MOST ? OptionalInt.of(score) : OptionalInt.empty();
    }

    static String shown(String answer) {
        return answer.length() <= MAX_TEXT ? answer : answer.substring(0, MAX_TEXT);
    }
}
