package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tables of open questions, and what known answers to them score. Expected numbers are by hand. */
class OpenRulesTest {
    private static final String IMAGE = Tables.image(new Random(1));
    private static final String TEN = "['cat', 'cat', 'cat', 'a cat', 'kitten', 'kitten', 'dog', 'cat', 'cat', 'cat']";

    @TempDir
    Path folder;

    /** @param rows cells behind index and image */
    private List<Question> questions(String columns, String... rows) throws IOException {
        List<String> lines = new ArrayList<>(List.of("index\timage\t" + columns));
        for (int i = 0; i < rows.length; i++) {
            lines.add((i + 1) + "\t" + IMAGE + "\t" + rows[i]);
        }
        return Tables.table(Files.write(folder.resolve("t.tsv"), lines)).questions();
    }

    private static List<Score> scores(String name, Protocol protocol, List<Question> questions, String... texts) {
        Rule rule = OpenRules.of(name, questions, protocol);
        List<Answer> answers = new ArrayList<>();
        for (int i = 0; i < texts.length; i++) {
            answers.add(rule.read(questions.get(i), texts[i]));
        }
        return rule.scores(answers);
    }

    private static Score first(String name, Protocol protocol, List<Question> questions, String... texts) {
        return scores(name, protocol, questions, texts).getFirst();
    }

    @Test
    void vqaAccuracy() throws IOException {
        List<Question> rows = questions("question\tanswer", "what\t" + TEN, "what\t" + TEN, "what\t" + TEN);
        Score score = first("VQAv2_VAL", Protocol.Strict, rows, "A cat.", "kitten", "horse");
        assertThat(score.metric()).isEqualTo("vqaAccuracy");
        // "kitten" twice: 1/3 where one of the two is left out, else 2/3: (2 * 1/3 + 8 * 2/3) / 10.
        assertThat(score.value()).isEqualTo((1 + 0.6 + 0) / 3, within(1e-12));
        assertThat(score.chance()).isZero();
        assertThat(score.interval()).isBetween(0.3, 0.5);
        assertThat(first("anything", Protocol.Strict, rows, "cat", "cat", "cat").metric())
                .isEqualTo("vqaAccuracy");
    }

    @Test
    void exactMatch() throws IOException {
        List<Question> rows = questions("question\tanswer", "what\tred apple", "what\t['left', 'right']", "x\t[1, 2]");
        assertThat(first("GQA", Protocol.Strict, rows, " Red apple. ", "right", "[1, 2]"))
                .satisfies(score -> assertThat(score.metric()).isEqualTo("exactMatch"))
                .satisfies(score -> assertThat(score.value()).isEqualTo(1));
        assertThat(first("GQA", Protocol.PaperCompatible, rows, "Red apple.", "RIGHT ", "12")
                        .value())
                .isEqualTo(1 / 3.0, within(1e-12));
        Rule rule = OpenRules.of("GQA", rows, Protocol.Strict);
        assertThat(rule.read(rows.getFirst(), " \n").read()).isEmpty();
        assertThat(rows.get(1).shown()).isEqualTo("left");
    }

    @Test
    void popeByItsSplits() throws IOException {
        List<Question> rows = questions(
                "question\tanswer\tcategory",
                "Is it?\tYes\trandom",
                "Is it?\tno\trandom",
                "Is it?\tyes\tpopular",
                "Is it?\tNo\tpopular");
        List<Score> scores = scores("POPE", Protocol.Strict, rows, "Yes, it is.", "No.", "Perhaps", "Yes");
        assertThat(scores)
                .extracting(Score::metric)
                .containsExactly("f1", "accuracy", "precision", "recall", "yesRatio");
        // random: all right. popular: yes missed (false negative), no answered by yes (false positive).
        assertThat(scores.get(0).value()).isEqualTo(0.5, within(1e-12));
        assertThat(scores.get(1).value()).isEqualTo(0.5, within(1e-12));
        assertThat(scores.get(4).value()).isEqualTo(0.5, within(1e-12));
        assertThat(scores.get(0).categories())
                .extracting(category -> category.name() + category.value())
                .containsExactly("random1.0", "popular0.0");
        Rule strict = OpenRules.of("POPE", rows, Protocol.Strict);
        assertThat(strict.read(rows.get(2), "Perhaps").read()).isEmpty();
        assertThat(OpenRules.of("POPE", rows, Protocol.PaperCompatible)
                        .read(rows.get(2), "Perhaps")
                        .score())
                .isEqualTo(1);
        assertThat(strict.instruction()).contains("yes or no");
    }

    @Test
    void mathVista() throws IOException {
        List<Question> rows = questions(
                "question\tanswer\tquestion_type\tanswer_type\tchoices\tprecision",
                "How many?\t12\tfree_form\tinteger\t\t",
                "How long?\t1.24\tfree_form\tfloat\t\t2.0",
                "Which?\tblue\tmulti_choice\ttext\t['red', 'blue']\t",
                "Who?\tBob\tfree_form\ttext\t\tnan");
        Score score = first("MathVista_MINI", Protocol.Strict, rows, "The answer is 12", "1.236", "(B)", "alice");
        assertThat(score.value()).isEqualTo(0.75);
        assertThat(score.chance()).isEqualTo(0.125);
    }

    @Test
    void mmmuMixesBothKinds() throws IOException {
        List<Question> rows =
                questions("question\tA\tB\tanswer", "Which?\tred\tblue\tB", "How much?\t\t\t['24/7', '3.43']");
        Score score = first("MMMU_DEV_VAL", Protocol.Strict, rows, "The answer is (B).", "so it is 3.428");
        assertThat(score.value()).isEqualTo(1);
        assertThat(score.chance()).isEqualTo(0.25);
        assertThat(first("MMMU_DEV_VAL", Protocol.Strict, rows, "A", "I don't know")
                        .value())
                .isZero();
        refuses("Other", rows, Protocol.Strict, ExitCode.InvalidData, "only MMMU mixes both");
    }

    @Test
    void whatDoesNotFit() throws IOException {
        List<Question> open = questions("question\tanswer", "what\tcat");
        refuses("x", open, Protocol.OptionLikelihood, ExitCode.InvalidConfiguration, "index 1 has no options");
        refuses("POPE", open, Protocol.Strict, ExitCode.InvalidData, "neither yes nor no");
        refuses("MathVista", open, Protocol.Strict, ExitCode.InvalidData, "question_type");
        refuses("OKVQA", open, Protocol.Strict, ExitCode.InvalidData, "at least 4 annotators");
        String columns = "question\tanswer\tquestion_type\tanswer_type\tchoices\tprecision";
        badTable(columns, "q\tgreen\tmulti_choice\ttext\t['red']\t", "not among its choices");
        badTable(columns, "q\tmany\tfree_form\tinteger\t\t", "'many' is no number");
        badTable(columns, "q\t1.5\tfree_form\tfloat\t\t99", "'99' is no number of digits");
        badTable("question\tanswer", "q\t[]", "the list of answers is empty");
        badTable("question\tanswer", "q\tnan", "no answer");
    }

    private void badTable(String columns, String row, String message) {
        assertThatThrownBy(() -> questions(columns, row))
                .hasMessageContaining(message)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData));
    }

    private static void refuses(String name, List<Question> rows, Protocol protocol, ExitCode code, String message) {
        assertThatThrownBy(() -> OpenRules.of(name, rows, protocol))
                .hasMessageContaining(message)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(code));
    }
}
