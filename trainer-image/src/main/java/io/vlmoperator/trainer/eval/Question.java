package io.vlmoperator.trainer.eval;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * One multiple-choice row of a benchmark, without its image.
 *
 * @param row place in the file, from 0
 * @param index the file's own number of the row
 * @param hint empty where there is none
 * @param options texts by letter, in the order of the letters; at least two
 * @param answer the right letter
 * @param category empty where there is none
 * @param split empty where there is none
 */
record Question(
        int row,
        long index,
        String question,
        String hint,
        SequencedMap<String, String> options,
        String answer,
        String category,
        String split) {
    Question {
        options = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(options));
    }
}
