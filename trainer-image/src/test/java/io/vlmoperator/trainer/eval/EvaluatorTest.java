package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A small model with random weights answers small benchmarks. */
class EvaluatorTest {
    private static final int ROWS = 240;
    private static final List<Protocol> ALL = List.of(Protocol.values());
    private static Tokenizer tokenizer;
    private static Scope scope;
    private static Subject subject;

    @TempDir
    Path folder;

    @BeforeAll
    static void start() {
        tokenizer = Tokenizer.load(Path.of("src/test/resources/tokenizer/small"));
        scope = Scope.open();
        subject = Subjects.small(scope, tokenizer, tokenizer.vocabularySize(), 160);
    }

    @AfterAll
    static void end() {
        scope.close();
        tokenizer.close();
    }

    private record Heard(long done, long total, int results) {}

    private List<BenchmarkResult> run(Subject of, Path run, List<Task> tasks, List<Heard> heard) {
        return new Evaluator(
                        of,
                        OptionLikelihood.Style.Chat,
                        6,
                        Optional.of(new RunFiles(run)),
                        new Single(),
                        (done, total, results) -> heard.add(new Heard(done, total, results.size())))
                .run(tasks);
    }

    private Task task(String name, int rows, long seed, List<Protocol> protocols) throws IOException {
        return new Task(name, Tables.table(Tables.write(folder.resolve(name + ".tsv"), rows, seed)), protocols);
    }

    @Test
    void scoresCountsAndFiles() throws IOException {
        Path run = folder.resolve("run");
        Task task = task("Things", ROWS, 1, ALL);
        List<Heard> heard = new ArrayList<>();

        List<BenchmarkResult> results = run(subject, run, List.of(task), heard);

        assertThat(results)
                .extracting(BenchmarkResult::protocol)
                .containsExactly("Strict", "PaperCompatible", "OptionLikelihood");
        for (BenchmarkResult result : results) {
            assertThat(result.rows()).as("%s", result).isEqualTo(ROWS);
            assertThat(result.skipped()).isZero();
            assertThat(result.chance()).isEqualTo(0.25, within(1e-12));
            assertThat(result.interval()).isBetween(0.001, 0.07);
            assertThat(result.step()).isEqualTo(12);
            assertThat(result.checkpointDigest()).isEqualTo("sha256:model");
            assertThat(result.dataDigest()).isEqualTo(task.table().digest());
            assertThat(result.split()).isEqualTo("test");
            assertThat(result.tokensPerImage()).isEqualTo(4);
            assertThat(result.categories())
                    .extracting(BenchmarkResult.Category::name, BenchmarkResult.Category::rows)
                    .containsExactly(tuple("things", 80L), tuple("animals", 160L));
            double hits = result.categories().stream()
                    .mapToDouble(category -> category.value() * category.rows())
                    .sum();
            assertThat(hits / ROWS).isEqualTo(result.value(), within(1e-12));
        }
        // Random weights know nothing: four standard deviations around a quarter.
        assertThat(results.get(2).value()).isBetween(0.25 - 0.112, 0.25 + 0.112);
        assertThat(results.get(2).unparsed()).isZero();
        assertThat(results).extracting(BenchmarkResult::promptDigest).doesNotHaveDuplicates();

        assertThat(heard.getLast()).isEqualTo(new Heard(3 * ROWS, 3 * ROWS, 3));
        assertThat(heard).isSortedAccordingTo(Comparator.comparingLong(Heard::done));
        for (Protocol protocol : ALL) {
            List<String> lines = Files.readAllLines(run.resolve("predictions/Things_" + protocol + ".tsv"));
            assertThat(lines).hasSize(ROWS + 1);
            assertThat(lines.getFirst())
                    .isEqualTo("index\tquestion\tA\tB\tC\tD\tanswer\tcategory\tsplit\tprediction\thit");
            long hits = lines.stream().filter(line -> line.endsWith("\t1")).count();
            assertThat(hits / (double) ROWS)
                    .as("hits of %s", protocol)
                    .isEqualTo(results.get(protocol.ordinal()).value(), within(1e-12));
        }
        assertThat(new ObjectMapper()
                        .readTree(run.resolve("results.json").toFile())
                        .path("finished"))
                .hasSize(3);
    }

    @Test
    void theSameTwice() throws IOException {
        Task task = task("Things", 60, 2, ALL);

        run(subject, folder.resolve("one"), List.of(task), new ArrayList<>());
        run(subject, folder.resolve("two"), List.of(task), new ArrayList<>());

        for (Protocol protocol : ALL) {
            Path name = Path.of("predictions/Things_" + protocol + ".tsv");
            assertThat(folder.resolve("one").resolve(name))
                    .hasSameBinaryContentAs(folder.resolve("two").resolve(name));
        }
    }

    @Test
    void finishedOnesAreNotRunAgain() throws IOException {
        Path run = folder.resolve("run");
        Task first = task("First", 20, 3, List.of(Protocol.Strict));
        Task second = task("Second", 20, 4, List.of(Protocol.OptionLikelihood));
        Scope own = Scope.open();
        Subject mortal = Subjects.small(own, tokenizer, tokenizer.vocabularySize(), 160);
        List<BenchmarkResult> before = run(mortal, run, List.of(first, second), new ArrayList<>());
        own.close(); // any use of the model fails from here on

        assertThat(run(mortal, run, List.of(first, second), new ArrayList<>())).isEqualTo(before);

        Task changed = task("Second", 20, 5, List.of(Protocol.OptionLikelihood));
        assertThatThrownBy(() -> run(mortal, run, List.of(first, changed), new ArrayList<>()))
                .isInstanceOf(IllegalStateException.class);
        Files.delete(run.resolve("predictions/First_Strict.tsv"));
        assertThatThrownBy(() -> run(mortal, run, List.of(first), new ArrayList<>()))
                .isInstanceOf(IllegalStateException.class);
        Files.writeString(run.resolve("results.json"), "{\"formatVersion\": 1, \"fini");
        assertThatThrownBy(() -> run(mortal, run, List.of(second), new ArrayList<>()))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theLikeliestOptionIsChosen() throws IOException {
        BenchmarkTable table =
                task("Things", 30, 6, List.of(Protocol.OptionLikelihood)).table();
        for (OptionLikelihood.Style style : OptionLikelihood.Style.values()) {
            for (OptionLikelihood.Normalization how : OptionLikelihood.Normalization.values()) {
                OptionLikelihood asker = new OptionLikelihood(subject, style, how, List.of());
                List<Asker.Seen> seen = table.questions().stream()
                        .map(question ->
                                new Asker.Seen(question, asker.texts(question), List.of(pixels(table, question))))
                        .toList();

                List<Answer> answers = asker.ask(seen);

                for (int i = 0; i < answers.size(); i++) {
                    assertThat(answers.get(i).text())
                            .as(
                                    "%s %s, index %s",
                                    style, how, seen.get(i).question().index())
                            .isEqualTo(byHand(seen.get(i), how));
                }
            }
        }
    }

    /** One option at a time, in a batch of its own. */
    private static String byHand(Asker.Seen seen, OptionLikelihood.Normalization how) {
        String best = "";
        double most = Double.NEGATIVE_INFINITY;
        List<String> letters = List.copyOf(seen.question().options().keySet());
        for (int i = 0; i < letters.size(); i++) {
            EncodedText text = seen.texts().get(i);
            float[] logs = logs(text, seen.images());
            double score = sum(logs);
            if (how == OptionLikelihood.Normalization.Mean) {
                score /= logs.length;
            } else if (how == OptionLikelihood.Normalization.PriorCorrected) {
                score -= sum(logs(Prompts.blind(text), List.of()));
            }
            if (score > most) {
                most = score;
                best = letters.get(i);
            }
        }
        return best;
    }

    private static float[] logs(EncodedText text, List<float[]> images) {
        try (Scope local = Scope.open()) {
            return subject.model()
                    .logProbabilities(Sequences.batch(List.of(text), List.of(images), 4, Tables.SIDE), local)
                    .floats();
        }
    }

    private static double sum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum;
    }

    private static float[] pixels(BenchmarkTable table, Question question) {
        return ((BenchmarkTable.Pixels.Decoded) table.pixels(question, Tables.SIDE)).values();
    }

    @Test
    void rowsThatCannotBeAskedAreCounted() throws IOException {
        Path file = Tables.write(folder.resolve("Things.tsv"), 10, 7);
        List<String> lines = new ArrayList<>(Files.readAllLines(file));
        lines.set(3, lines.get(3).replaceFirst("\t[^\t]+\t", "\t" + "AAAA".repeat(30) + "\t"));
        lines.set(5, lines.get(5).replace("What is this?", "What is this? ".repeat(60)));
        Files.write(file, lines);

        List<BenchmarkResult> results = run(
                subject,
                folder.resolve("run"),
                List.of(new Task("Things", Tables.table(file), List.of(Protocol.Strict))),
                new ArrayList<>());

        assertThat(results.getFirst().rows()).isEqualTo(8);
        assertThat(results.getFirst().skipped()).isEqualTo(2);
        String json = Files.readString(folder.resolve("run/results.json"));
        assertThat(json).contains("can't be decoded", "the model reads 160", "102", "104");
        assertThat(Files.readAllLines(folder.resolve("run/predictions/Things_Strict.tsv")))
                .hasSize(9);
    }

    @Test
    void nothingCouldBeAsked() throws IOException {
        Task task = task("Things", 4, 8, List.of(Protocol.Strict));
        try (Scope own = Scope.open()) {
            Subject small = Subjects.small(own, tokenizer, tokenizer.vocabularySize(), 30);
            assertThatThrownBy(() -> run(small, folder.resolve("run"), List.of(task), new ArrayList<>()))
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidData))
                    .hasMessageContaining("none of the 4 rows");
        }
        assertThat(folder.resolve("run/results.json")).doesNotExist();
    }

    @Test
    void aTokenizerOfAnotherModelIsRefused() {
        try (Scope own = Scope.open()) {
            assertThatThrownBy(() -> Subjects.small(own, tokenizer, tokenizer.vocabularySize() - 1, 160))
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration))
                    .hasMessageContaining("use the tokenizer that the model was trained with");
        }
    }

    @Test
    void knownBenchmarksHaveTheirOwnMetrics() throws IOException {
        for (var expected : List.of(
                List.of("MMBench_DEV_EN", "circularAccuracy", "accuracy"),
                List.of("MMStar", "accuracy", "macroAccuracy"),
                List.of("SEEDBench_IMG", "accuracy", "firstCharacterAccuracy"))) {
            Task task = task(expected.getFirst(), 8, 9, List.of(Protocol.Strict));
            assertThat(run(subject, folder.resolve(expected.getFirst()), List.of(task), new ArrayList<>()))
                    .extracting(BenchmarkResult::metric)
                    .isEqualTo(expected.subList(1, 3));
        }
    }
}
