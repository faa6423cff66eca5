package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.trainer.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class AnswerTextTest {
    private static final String TEXT = "A red apple, a blåbær and 猫 (a cat) 🦊🎈!\n\nThe end. Not yet: 1.5 of two";
    private static Tokenizer tokenizer;

    @BeforeAll
    static void start() {
        tokenizer = Tokenizer.load(Path.of("src/test/resources/tokenizer/small"));
    }

    @AfterAll
    static void end() {
        tokenizer.close();
    }

    /** What was shown piece by piece, and the answer. */
    private record Said(String shown, String text, boolean stopped) {}

    private static Said say(int[] ids, List<String> stops) {
        AnswerText answer = new AnswerText(tokenizer, stops);
        StringBuilder shown = new StringBuilder();
        for (int id : ids) {
            boolean goesOn = answer.add(id);
            String news = answer.news();
            for (String stop : stops) {
                assertThat(shown + news).doesNotContain(stop);
            }
            shown.append(news);
            if (!goesOn) {
                break;
            }
        }
        shown.append(answer.rest());
        return new Said(shown.toString(), answer.text(), answer.stopped());
    }

    /** Every piece of the text is a stop string once, whatever tokens it begins and ends in. */
    @Test
    void everyStopStringIsFoundOverTokenBoundaries() {
        int[] ids = tokenizer.encode(TEXT);
        assertThat(ids.length).isGreaterThan(20);
        for (int from = 0; from < TEXT.length(); from++) {
            for (int length : new int[] {1, 2, 5, 17}) {
                int to = Math.min(TEXT.length(), from + length);
                if (Character.isLowSurrogate(TEXT.charAt(from)) || Character.isHighSurrogate(TEXT.charAt(to - 1))) {
                    continue; // half a character
                }
                String stop = TEXT.substring(from, to);
                Said said = say(ids, List.of("not in the text", stop));
                assertThat(said.stopped()).as(stop).isTrue();
                assertThat(said.text()).as(stop).isEqualTo(TEXT.substring(0, TEXT.indexOf(stop)));
                assertThat(said.shown()).as(stop).isEqualTo(said.text());
            }
        }
    }

    @Test
    void ofSeveralStopsTheOneThatEndsFirstWins() {
        int[] ids = tokenizer.encode(TEXT);
        assertThat(say(ids, List.of("end", "apple, a bl", " a b")))
                .isEqualTo(new Said("A red apple,", "A red apple,", true));
        assertThat(say(ids, List.of("ple, a b", "apple, a b", " a bl"))).isEqualTo(new Said("A red ", "A red ", true));
    }

    @Test
    void withoutAStopTheTextIsWhatTheTokenizerSays() {
        int[] ids = tokenizer.encode(TEXT);
        assertThat(say(ids, List.of())).isEqualTo(new Said(TEXT, TEXT, false));
        // The beginning of a stop string that never comes is shown in the end.
        assertThat(say(ids, List.of("two and more"))).isEqualTo(new Said(TEXT, TEXT, false));
        // Control tokens are not shown.
        List<Integer> mixed = new ArrayList<>();
        for (int id : ids) {
            mixed.add(id);
            mixed.add(tokenizer.id(Tokenizer.MESSAGE_START));
        }
        assertThat(say(mixed.stream().mapToInt(Integer::intValue).toArray(), List.of("猫 (a"))
                        .text())
                .isEqualTo(TEXT.substring(0, TEXT.indexOf('猫')));
    }

    /** Random tokens make halves of characters everywhere: nothing is lost, and nothing hangs. */
    @Test
    void anyTokens() {
        Random random = new Random(4);
        for (int round = 0; round < 200; round++) {
            int[] ids = random.ints(30, 0, tokenizer.vocabularySize()).toArray();
            String whole = say(ids, List.of()).text();
            Said said = say(ids, List.of("zzzzz", whole.substring(whole.length() / 2, whole.length() / 2 + 1)));
            assertThat(whole).startsWith(said.text());
            assertThat(said.shown()).isEqualTo(said.text());
        }
    }

    @Test
    void bounds() {
        assertThatThrownBy(() -> new AnswerText(tokenizer, List.of("")))
                .hasMessageContaining("a stop string of 0 characters");
        assertThatThrownBy(() -> new AnswerText(tokenizer, List.of("x".repeat(257))))
                .hasMessageContaining("257 characters");
        assertThatThrownBy(() -> new AnswerText(tokenizer, Collections.nCopies(17, "x")))
                .hasMessageContaining("17 stop strings");
        AnswerText ended = new AnswerText(tokenizer, List.of("a"));
        assertThat(ended.add(tokenizer.encode("a")[0])).isFalse();
        assertThatThrownBy(() -> ended.add(1)).isInstanceOf(IllegalStateException.class);
    }
}
