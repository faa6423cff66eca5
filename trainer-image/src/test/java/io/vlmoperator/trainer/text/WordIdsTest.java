package io.vlmoperator.trainer.text;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The words that are cut here against the library that is asked about the whole text. */
class WordIdsTest {
    private static final Path FOLDER = Path.of("src/test/resources/tokenizer/small");
    private static final String[] PIECES = {
        " ", "  ", "\n", "\r\n", "\r", "\t", "'", "'s", "'LL", "'Re", "'ve", "'d", "'x", "a", "The", "house", "Zz", "7",
        "42", ".", ",", "!?", "#", "_", "-", "(", ")", ">", "\\", "\"", "|", " \n", "\n ", " '", " .", ".\n\n",
        "ab'tis", "e"
    };

    @TempDir
    Path temp;

    @Test
    void idsEqualTheLibrarys() {
        SplittableRandom random = new SplittableRandom(7);
        try (Tokenizer tokenizer = Tokenizer.load(FOLDER)) {
            for (int n = 0; n < 8_000; n++) {
                StringBuilder text = new StringBuilder();
                for (int left = 1 + random.nextInt(30); left > 0; left--) {
                    boolean piece = random.nextInt(4) > 0;
                    // No added token: the library's markup tokenizer would find it. All begin with <.
                    text.append(
                            piece
                                    ? PIECES[random.nextInt(PIECES.length)]
                                    : String.valueOf((char) random.nextInt(' ', 0x7F))
                                            .replace('<', '>'));
                }
                assertThat(tokenizer.encode(text.toString()))
                        .as("'%s'", text)
                        .containsExactly(tokenizer.encodeMarkup(text.toString()));
            }
        }
    }

    @Test
    void wordsAreCutAsThePatternSays() {
        assertThat(words("It's  a\n \n house, isn't 42?\n\n \tx  "))
                .containsExactly(
                        "It", "'s", " ", " a", "\n \n", " house", ",", " isn", "'t", " ", "4", "2", "?\n\n", " ", "\tx",
                        "  ");
    }

    private static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        for (int from = 0; from < text.length(); ) {
            int to = WordIds.end(text, from);
            words.add(text.substring(from, to));
            from = to;
        }
        return words;
    }

    @Test
    void textThatIsNotAsciiAndTooManyWordsAreLeftToTheLibrary() throws IOException {
        WordIds ids = WordIds.of(json(), word -> new int[] {word.length()}).orElseThrow();
        assertThat(ids.encode("ab cde").orElseThrow()).containsExactly(2, 4);
        assertThat(ids.encode("Größe")).isEmpty();
        assertThat(ids.encode("nul \0")).isEmpty();
        assertThat(ids.encode("x".repeat(1000))).isEmpty();
        assertThat(ids.encode("")).hasValueSatisfying(none -> assertThat(none).isEmpty());
        for (int n = 0; n < 60_000; n++) {
            ids.encode(" " + word(n));
        }
        assertThat(ids.encode(" " + word(1))).isPresent();
        assertThat(ids.encode(" " + word(59_999))).isEmpty();
    }

    private static String word(int number) {
        StringBuilder word = new StringBuilder();
        for (int left = number + 1; left > 0; left /= 26) {
            word.append((char) ('a' + left % 26));
        }
        return word.toString();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{1,3}|",
                "NFKC",
                "\"invert\":true",
                "\"add_prefix_space\":true",
                "\"dropout\":0.1",
                "\"continuing_subword_prefix\":\"##\""
            })
    void otherTokenizersAreLeftToTheLibrary(String change) throws IOException {
        String known = json().toString();
        String other = switch (change) {
            case "{1,3}|" -> known.replace("|\\\\p{N}|", "|\\\\p{N}{1,3}|");
            case "NFKC" -> known.replace("\"NFC\"", "\"NFKC\"");
            case "\"invert\":true" -> known.replace("\"invert\":false", change);
            case "\"add_prefix_space\":true" -> known.replace("\"add_prefix_space\":false", change);
            case "\"dropout\":0.1" -> known.replace("\"dropout\":null", change);
            default -> known.replace("\"continuing_subword_prefix\":null", change);
        };
        assertThat(other).isNotEqualTo(known);
        assertThat(WordIds.of(new ObjectMapper().readTree(other), word -> new int[0]))
                .isEmpty();
        assertThat(WordIds.of(json(), word -> new int[0])).isPresent();
    }

    @Test
    void aTokenizerOfAnotherPatternKeepsItsIds() throws IOException {
        String three = json().toString().replace("|\\\\p{N}|", "|\\\\p{N}{1,3}|");
        Files.writeString(temp.resolve("tokenizer.json"), three);
        try (Tokenizer tokenizer = Tokenizer.load(temp)) {
            String text = "It's 1234567 of 2024, or 99 houses";
            assertThat(tokenizer.encode(text)).containsExactly(tokenizer.encodeMarkup(text));
        }
    }

    private static JsonNode json() throws IOException {
        return new ObjectMapper().readTree(FOLDER.resolve("tokenizer.json").toFile());
    }
}
