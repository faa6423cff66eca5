package io.vlmoperator.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Benchmark.FewShot;
import io.vlmoperator.api.spec.Benchmark.FewShot.From;
import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.MessagesOnly;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.EncodedText;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Demonstrations before questions, and several workers. */
class FewShotTest {
    private static Tokenizer tokenizer;
    private static Scope scope;
    private static Subject subject;

    @TempDir
    Path folder;

    @BeforeAll
    static void start() {
        tokenizer = Tokenizer.load(Path.of("src/test/resources/tokenizer/small"));
        scope = Scope.open();
        subject = Subjects.small(scope, tokenizer, tokenizer.vocabularySize(), 400);
    }

    @AfterAll
    static void end() {
        scope.close();
        tokenizer.close();
    }

    private Task task(String name, int rows, FewShot fewShot, Protocol... protocols) throws IOException {
        return Task.read(
                name,
                Tables.write(folder.resolve(name + ".tsv"), rows, 3),
                List.of(protocols),
                Optional.ofNullable(fewShot),
                EvalStage.images());
    }

    private static List<BenchmarkResult> run(Subject of, Path run, Communicator ranks, List<Task> tasks) {
        return new Evaluator(
                        of,
                        OptionLikelihood.Style.Chat,
                        4,
                        ranks.rank() == 0 ? Optional.of(new RunFiles(run)) : Optional.empty(),
                        ranks,
                        (done, total, results) -> {})
                .run(tasks);
    }

    @Test
    void seedsAreAveragedAndTheirSpreadShown() throws IOException {
        FewShot three = new FewShot(2, List.of(1L, 2L, 7L), From.Evaluated);
        Task task = task("Things", 24, three, Protocol.OptionLikelihood);
        Path run = folder.resolve("run");

        List<BenchmarkResult> results = run(subject, run, new Single(), List.of(task));

        BenchmarkResult likelihood = results.getFirst();
        assertThat(likelihood.rows()).isEqualTo(22);
        assertThat(likelihood.fewShot().shots()).isEqualTo(2);
        assertThat(likelihood.fewShot().seeds()).isEqualTo(3);
        double[] values = new double[3];
        int number = 0;
        for (long seed : three.seeds()) {
            List<String> lines =
                    Files.readAllLines(run.resolve("predictions/Things_OptionLikelihood_seed" + seed + ".tsv"));
            assertThat(lines).hasSize(23);
            values[number++] =
                    lines.stream().filter(line -> line.endsWith("\t1")).count() / 22.0;
        }
        double mean = (values[0] + values[1] + values[2]) / 3;
        double squares = 0;
        for (double value : values) {
            squares += (value - mean) * (value - mean);
        }
        assertThat(likelihood.value()).isEqualTo(mean, within(1e-12));
        assertThat(likelihood.fewShot().spread()).isEqualTo(Math.sqrt(squares / 2), within(1e-12));
        // Taken over, and not computed again.
        assertThat(run(subject, run, new Single(), List.of(task))).isEqualTo(results);
        Task none = task("Things", 24, null, Protocol.OptionLikelihood);
        BenchmarkResult without = run(subject, run, new Single(), List.of(none)).getFirst();
        assertThat(without.fewShot()).isNull();
        assertThat(without.rows()).isEqualTo(24);
        assertThat(without.promptDigest()).isNotEqualTo(likelihood.promptDigest());
    }

    @Test
    void demonstrationsAreDrawnBySeedAndNeverAsked() throws IOException {
        Task task = task("Things", 12, new FewShot(3, List.of(5L), From.Evaluated), Protocol.Strict);
        Demonstrations drawn = draw(task, 5);
        assertThat(drawn.questions())
                .hasSize(3)
                .doesNotHaveDuplicates()
                .isEqualTo(draw(task, 5).questions());
        assertThat(drawn.questions()).isNotEqualTo(draw(task, 6).questions());
        Path run = folder.resolve("run");
        run(subject, run, new Single(), List.of(task));
        List<String> lines = Files.readAllLines(run.resolve("predictions/Things_Strict_seed5.tsv"));
        for (Question shown : drawn.questions()) {
            assertThat(lines).noneMatch(line -> line.startsWith(shown.index() + "\t"));
        }
        assertThat(lines).hasSize(10);
    }

    private static Demonstrations draw(Task task, long seed) {
        return Demonstrations.draw(
                task.name(),
                task.pool(),
                task.fewShot().orElseThrow(),
                seed,
                question -> task.poolTable().pixels(question, Tables.SIDE));
    }

    @Test
    void fromTrain() throws IOException {
        FewShot two = new FewShot(2, null, null);
        // Rows of the split train in the same table.
        Path file = Tables.write(folder.resolve("one.tsv"), 10, 3);
        List<String> lines = new ArrayList<>(Files.readAllLines(file));
        for (int row = 1; row <= 3; row++) {
            lines.set(row, lines.get(row).replaceFirst("\ttest$", "\ttrain"));
        }
        Files.write(file, lines);
        Task one = Task.read("One", file, List.of(Protocol.Strict), Optional.of(two), EvalStage.images());
        assertThat(one.asked())
                .extracting(Question::index)
                .doesNotContain(100L, 101L, 102L)
                .hasSize(7);
        assertThat(draw(one, 1).questions()).extracting(Question::split).containsOnly("train");
        // A folder with train.tsv.
        Path both = Files.createDirectories(folder.resolve("both"));
        Tables.write(both.resolve("train.tsv"), 5, 8);
        Tables.write(both.resolve("val.tsv"), 6, 9);
        Task folders = Task.read("Both", both, List.of(Protocol.Strict), Optional.of(two), EvalStage.images());
        assertThat(folders.asked()).hasSize(6);
        assertThat(folders.pool()).hasSize(5);
        assertThat(run(subject, folder.resolve("run"), new Single(), List.of(folders))
                        .getFirst()
                        .rows())
                .isEqualTo(6);
        Tables.write(both.resolve("test.tsv"), 6, 9);
        assertThatThrownBy(
                        () -> Task.read("Both", both, List.of(Protocol.Strict), Optional.of(two), EvalStage.images()))
                .hasMessageContaining("a folder with 2 tables");
        Task few = Task.read(
                "Few", file, List.of(Protocol.Strict), Optional.of(new FewShot(4, null, null)), EvalStage.images());
        assertThatThrownBy(() -> run(subject, folder.resolve("few"), new Single(), List.of(few)))
                .hasMessageContaining("4 demonstrations are wanted, but only 3 usable rows")
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.InvalidConfiguration));
    }

    /** The sequences of a question behind one demonstration, as text. */
    @Test
    void whatTheModelReads() throws IOException {
        List<Question> rows = task("Things", 2, null, Protocol.Strict).table().questions();
        Question shown = rows.get(0);
        Question asked = rows.get(1);
        List<Question> shots = List.of(shown);

        EncodedText strict = Prompts.strict(tokenizer, shots, asked, Prompts.SHORT_ANSWER);
        assertThat(strict.images()).isEqualTo(2);
        assertThat(text(strict))
                .containsSubsequence(
                        "<|im_start|>user\n#\nQuestion: What is this?\nOptions:\nA. "
                                + shown.options().get("A"),
                        "<|im_start|>assistant\n" + shown.letter() + "<|im_end|>\n<|im_start|>user\n#\nQuestion:",
                        "A. " + asked.options().get("A"),
                        "<|im_end|>\n<|im_start|>assistant\n");

        EncodedText answered = Prompts.answered(tokenizer, shots, asked, "drum");
        assertThat(text(answered))
                .contains("<|im_start|>assistant\n" + shown.options().get(shown.letter()) + "<|im_end|>");
        assertThat(targets(answered)).isEqualTo("drum<|im_end|>");

        EncodedText caption = Prompts.caption(tokenizer, shots, "drum");
        assertThat(text(caption))
                .isEqualTo("<s>#\n" + shown.options().get(shown.letter()) + "<|im_end|><s>#\ndrum<|im_end|>");
        assertThat(targets(caption)).isEqualTo("<s>\ndrum<|im_end|>");

        assertThat(text(Prompts.paper(tokenizer, shots, asked, Prompts.SHORT_ANSWER)))
                .startsWith("<s>#\nQuestion: What is this?\nOptions:")
                .containsSubsequence("Answer: " + shown.letter() + "<|endofchunk|>#\nQuestion:", "Answer:")
                .endsWith("Answer:");
    }

    private static String text(EncodedText text) {
        StringBuilder all = new StringBuilder();
        List<Integer> run = new ArrayList<>();
        for (int id : text.ids()) {
            if (id == EncodedText.IMAGE) {
                all.append(decoded(run)).append('#');
                run.clear();
            } else {
                run.add(id);
            }
        }
        return all.append(decoded(run)).toString();
    }

    private static String targets(EncodedText text) {
        List<Integer> targets = new ArrayList<>();
        for (int label : text.labels()) {
            if (label != EncodedText.IGNORE) {
                targets.add(label);
            }
        }
        return decoded(targets);
    }

    private static String decoded(List<Integer> ids) {
        return tokenizer.decode(ids.stream().mapToInt(Integer::intValue).toArray(), false);
    }

    /** Predictions and scores of two and three workers are byte for byte those of one. */
    @Test
    void severalWorkersMakeWhatOneMakes() throws Exception {
        Path file = Tables.write(folder.resolve("Things.tsv"), 140, 3);
        List<String> lines = new ArrayList<>(Files.readAllLines(file));
        lines.set(9, lines.get(9).replaceFirst("\t[^\t]+\t", "\t" + "AAAA".repeat(30) + "\t"));
        Files.write(file, lines);
        FewShot shots = new FewShot(1, List.of(1L, 2L), From.Evaluated);
        List<Protocol> both = List.of(Protocol.Strict, Protocol.OptionLikelihood);
        List<Protocol> likelihood = List.of(Protocol.OptionLikelihood);
        for (int world : new int[] {1, 2, 3}) {
            Path run = folder.resolve("run" + world);
            each(world, ranks -> {
                List<Task> tasks = List.of(
                        Task.read("Plain", file, both, Optional.empty(), EvalStage.images()),
                        Task.read("Shots", file, likelihood, Optional.of(shots), EvalStage.images()));
                try (Scope own = Scope.open()) {
                    List<BenchmarkResult> results =
                            run(Subjects.small(own, tokenizer, tokenizer.vocabularySize(), 400), run, ranks, tasks);
                    assertThat(results.isEmpty()).isEqualTo(ranks.rank() > 0);
                    // What is finished is taken over by all of them.
                    assertThat(run(Subjects.small(own, tokenizer, tokenizer.vocabularySize(), 400), run, ranks, tasks))
                            .isEqualTo(results);
                }
            });
        }
        for (int world : new int[] {2, 3}) {
            Path one = folder.resolve("run1");
            Path several = folder.resolve("run" + world);
            try (var files = Files.list(one.resolve("predictions"))) {
                List<Path> names =
                        files.map(found -> one.relativize(found)).sorted().toList();
                assertThat(names).hasSize(4);
                for (Path name : names) {
                    assertThat(several.resolve(name)).hasSameBinaryContentAs(one.resolve(name));
                }
            }
            assertThat(withoutTime(several)).isEqualTo(withoutTime(one));
        }
    }

    private static String withoutTime(Path run) throws IOException {
        return Files.readString(run.resolve("results.json")).replaceAll("\"seconds\" : [-0-9.E]+", "");
    }

    @Test
    void longMessagesGoInPieces() throws Exception {
        byte[][] own = new byte[3][];
        own[0] = new byte[200_001];
        own[1] = new byte[0];
        own[2] = new byte[Communicator.MAX_MESSAGE_BYTES - 1];
        Random random = new Random(1);
        random.nextBytes(own[0]);
        random.nextBytes(own[2]);
        each(3, ranks -> assertThat(Gather.all(ranks, own[ranks.rank()])).containsExactly(own));
    }

    @FunctionalInterface
    private interface Work {
        void run(Communicator ranks) throws Exception;
    }

    /** Ranks are threads that hand their messages over in memory. */
    private static void each(int world, Work work) throws Exception {
        byte[][] board = new byte[world][];
        CyclicBarrier barrier = new CyclicBarrier(world);
        try (ExecutorService threads = Executors.newFixedThreadPool(world)) {
            List<Future<?>> all = new ArrayList<>();
            for (int rank = 0; rank < world; rank++) {
                Communicator own = new Threads(rank, world, board, barrier);
                all.add(threads.submit(() -> {
                    try {
                        work.run(own);
                    } catch (Throwable e) {
                        barrier.reset(); // nobody waits for one that has failed
                        throw e;
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get(10, TimeUnit.MINUTES);
            }
        }
    }

    private record Threads(int rank, int world, byte[][] board, CyclicBarrier meeting) implements MessagesOnly {
        @Override
        public byte[][] allGather(byte[] message) {
            assertThat(message.length).isLessThanOrEqualTo(MAX_MESSAGE_BYTES);
            try {
                board[rank] = message;
                meeting.await(5, TimeUnit.MINUTES);
                byte[][] all = board.clone();
                meeting.await(5, TimeUnit.MINUTES);
                return all;
            } catch (Exception e) {
                throw new IllegalStateException("another rank has failed", e);
            }
        }
    }
}
