package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.eval.scoring.MathVista;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * One row of a benchmark, without its image.
 *
 * @param row place in the file, from 0
 * @param index the file's own number of the row
 * @param hint empty where there is none
 * @param options texts by letter, in the order of the letters; at least two, or none for an open question
 * @param gold what is right: a {@link Gold.Letter} exactly where there are options
 * @param category empty where there is none
 * @param split empty where there is none
 */
record Question(
        int row,
        long index,
        String question,
        String hint,
        SequencedMap<String, String> options,
        Gold gold,
        String category,
        String split) {
    Question {
        options = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(options));
        if (options.isEmpty() == gold instanceof Gold.Letter) {
            throw new IllegalArgumentException("index " + index + ": " + options.size() + " options and " + gold);
        }
    }

    /** What is right. */
    sealed interface Gold {
        /** One of the options. */
        record Letter(String letter) implements Gold {}

        /** What annotators wrote, or the one right text. */
        record Texts(List<String> texts) implements Gold {
            public Texts {
                texts = List.copyOf(texts);
            }
        }

        /**
         * A row of MathVista.
         *
         * @param text as the file has it
         */
        record Math(MathVista.Gold gold, String text) implements Gold {}
    }

    boolean isMultipleChoice() {
        return !options.isEmpty();
    }

    /** The right letter of a multiple-choice question. */
    String letter() {
        return switch (gold) {
            case Gold.Letter(String letter) -> letter;
            case Gold.Texts _, Gold.Math _ -> throw new IllegalStateException("index " + index + " has no options");
        };
    }

    /** The right texts of an open question; one for MathVista. */
    List<String> texts() {
        return switch (gold) {
            case Gold.Texts(List<String> texts) -> texts;
            case Gold.Math(MathVista.Gold _, String text) -> List.of(text);
            case Gold.Letter _ -> throw new IllegalStateException("index " + index + " has options");
        };
    }

    /** The answer that a demonstration gives: the letter, or the text that most annotators wrote (of equally many the first). */
    String shown() {
        if (isMultipleChoice()) {
            return letter();
        }
        SequencedMap<String, Integer> counts = new LinkedHashMap<>();
        texts().forEach(text -> counts.merge(text, 1, Integer::sum));
        int most = Collections.max(counts.values());
        return counts.entrySet().stream()
                .filter(entry -> entry.getValue() == most)
                .findFirst()
                .orElseThrow()
                .getKey();
    }
}
