package io.vlmoperator.trainer.eval.scoring;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MultipleChoiceTest {
    private static SequencedMap<String, String> options(String... texts) {
        SequencedMap<String, String> options = new LinkedHashMap<>();
        for (String text : texts) {
            options.put(Character.toString('A' + options.size()), text);
        }
        return options;
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            B                | B
            (C).             | C
            The answer is D. | D
            Cat face.        | B
            cat              | A
            dog face         | C
            cat face, dog    |
            A or B           |
            bird             |
            ''               |
            """)
    void strict(String answer, String letter) {
        assertThat(MultipleChoice.strict(answer, options("cat", "cat face", "dog face", "dog")))
                .as("answer \"%s\"", answer)
                .isEqualTo(Optional.ofNullable(letter));
    }

    @Test
    void twoOptionsOfOneTextAnswerNothing() {
        assertThat(MultipleChoice.strict("cat", options("cat", "cat", "dog", "cow")))
                .isEmpty();
    }

    @Test
    void aLetterBeforeTheLastWordsIsNoAnswer() {
        assertThat(MultipleChoice.infer("A long sentence with many words behind it", options("x1", "x2", "x3", "x4")))
                .isEmpty();
    }

    @Test
    void containmentIsAsLenientAsThePaper() {
        assertThat(List.of("A", "B", "C", "D")).allMatch(gold -> MultipleChoice.contains("abcd", gold));
        assertThat(MultipleChoice.containsExactly("abcd", "A")).isFalse();
    }
}
