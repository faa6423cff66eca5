package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CaptionTextTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a red car|1|0",
                "'red, red'|0.857142|0",
                "Red red RED car|1|0.5",
                "####|0|0",
                "a#|0.5|0",
                "''|1|0",
                "'\u00a0 \n'|1|0",
                "\u4e00\u53ea\u732b\u3002|0.75|0", // Chinese with its full stop
                "\u0928\u092e\u0938\u094d\u0924\u0947|1|0", // Hindi: vowel signs are marks
                "cafe\u0301|1|0",
                "\ud83d\ude00 smile|0.833333|0", // one code point of two characters
                "1\u00a01\u30001|1|0.666666"
            })
    void sharesOfCodePointsAndWords(String text, double letters, double repeated) {
        assertThat(CaptionText.letterShare(text)).isCloseTo(letters, org.assertj.core.data.Offset.offset(1e-5));
        assertThat(CaptionText.repeatedWords(text)).isCloseTo(repeated, org.assertj.core.data.Offset.offset(1e-5));
    }
}
