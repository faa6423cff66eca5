package io.vlmoperator.emoji;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainTokenizerTest {
    @TempDir
    Path temp;

    @Test
    void theCheckedInTokenizerIsWhatTheTrainerMakesOfTheCheckedInCorpus() throws IOException {
        Path folder = RealDataTest.tokenizer();
        BpeTrainer.Bpe bpe = BpeTrainer.train(
                TrainTokenizer.readCorpus(folder.resolve(TrainTokenizer.CORPUS)),
                TrainTokenizer.SIZE - TrainTokenizer.ADDED.size());
        assertThat(TrainTokenizer.tokenizerJson(bpe))
                .as("examples/emoji/tokenizer/tokenizer.json; after a change of the corpus run TrainTokenizer")
                .isEqualTo(Files.readString(folder.resolve(TrainTokenizer.TOKENIZER)));
        assertThat(TrainTokenizer.configJson()).isEqualTo(Files.readString(folder.resolve(TrainTokenizer.CONFIG)));
        assertThat(BpeTrainer.encode(bpe, "assistant\n"))
                .as("a chat header is short")
                .hasSize(2);
        assertThat(String.join("", BpeTrainer.encode(bpe, "grinning face"))).isEqualTo("grinningĠface");
    }

    /** Else a model could not copy an option token by token: it would have to respell it. */
    @Test
    void aNameHasTheSameTokensAsAnOptionAsAnAnswerAndAsACaption() throws IOException {
        Map<String, Integer> texts =
                TrainTokenizer.readCorpus(RealDataTest.tokenizer().resolve(TrainTokenizer.CORPUS));
        BpeTrainer.Bpe bpe = BpeTrainer.train(texts, TrainTokenizer.SIZE - TrainTokenizer.ADDED.size());
        // All names, their first words and some of the wording; not the groups, which no question has as options.
        List<String> names = texts.keySet().stream()
                .filter(text -> Character.isUpperCase(text.charAt(0)) || Character.isDigit(text.charAt(0)))
                .filter(text -> text.indexOf('\n') < 0 && !text.endsWith(":"))
                .toList();
        assertThat(names).hasSizeGreaterThan(1821);
        List<String> optionA = BpeTrainer.encode(bpe, "Options:\nA.");
        List<String> optionB = BpeTrainer.encode(bpe, "\nB.");
        List<String> answer = BpeTrainer.encode(bpe, "\nassistant\n");
        List<String> different = new ArrayList<>();
        for (String name : names) {
            List<String> tokens = BpeTrainer.encode(bpe, name);
            List<String> expected = new ArrayList<>(optionA);
            expected.add("Ġ");
            expected.addAll(tokens);
            expected.addAll(optionB);
            expected.add("Ġ");
            expected.addAll(tokens);
            expected.addAll(answer);
            expected.addAll(tokens);
            List<String> together =
                    BpeTrainer.encode(bpe, "Options:\nA. " + name + "\nB. " + name + "\nassistant\n" + name);
            if (!together.equals(expected)) {
                different.add(name + ": " + together);
            }
        }
        assertThat(different).isEmpty();
    }

    @Test
    void idsRunFromBytesOverMergesToAddedTokens() throws IOException {
        JsonNode tokenizer = new ObjectMapper()
                .readTree(RealDataTest.tokenizer()
                        .resolve(TrainTokenizer.TOKENIZER)
                        .toFile());
        JsonNode vocabulary = tokenizer.path("model").path("vocab");
        assertThat(vocabulary.size()).isEqualTo(1995);
        assertThat(tokenizer.path("model").path("merges").size()).isEqualTo(1995 - 256);
        assertThat(vocabulary.path("!").asInt(-1))
                .as("first byte, as in Qwen2.5")
                .isZero();
        int expected = 1995;
        for (JsonNode added : tokenizer.path("added_tokens")) {
            assertThat(added.path("id").asInt()).isEqualTo(expected++);
        }
        assertThat(expected).isEqualTo(2000);
    }

    @Test
    void mergesTheMostFrequentPairAndBreaksTiesByText() {
        BpeTrainer.Bpe bpe = BpeTrainer.train(Map.of("ab", 3, "cd", 3, "abcd", 1, "xy", 2), 256 + 3);
        assertThat(bpe.merges())
                .containsExactly(
                        new BpeTrainer.Merge("a", "b"), new BpeTrainer.Merge("c", "d"), new BpeTrainer.Merge("x", "y"));
        assertThat(BpeTrainer.encode(bpe, "abcdxyz")).containsExactly("ab", "cd", "xy", "z");
    }

    @Test
    void neverMergesAcrossTheSplit() {
        BpeTrainer.Bpe bpe = BpeTrainer.train(Map.of("a 1\nb", 50, "12", 50, "aa", 1), 256 + 1);
        assertThat(bpe.merges()).as("' 1', '1\\n' and '12' are apart").containsExactly(new BpeTrainer.Merge("a", "a"));
    }

    @Test
    void tooFewTextsAreAnError() {
        assertThatThrownBy(() -> BpeTrainer.train(Map.of("ab", 1), 300)).hasMessageContaining("257 of 300");
    }

    @Test
    void aBadCorpusLineIsNamed() throws IOException {
        Path file = temp.resolve("corpus.tsv");
        Files.writeString(file, "1\tfine\nnot a count\n");
        assertThatThrownBy(() -> TrainTokenizer.readCorpus(file)).hasMessageContaining("line 2");
    }
}
