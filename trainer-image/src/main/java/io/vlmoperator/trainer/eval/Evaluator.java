package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.eval.RunFiles.Finished;
import io.vlmoperator.trainer.eval.RunFiles.Skipped;
import io.vlmoperator.trainer.text.EncodedText;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Asks one subject the questions of several benchmarks, writes what came of it, and skips what an earlier attempt finished. */
final class Evaluator {
    /** Tokens in one pass of the model, unless one question alone is longer. */
    private static final int TOKENS_AT_ONCE = 8192;

    private static final int QUESTIONS_AT_ONCE = 64;

    /** Skipped rows that the result file lists; all of them are counted. */
    private static final int MAX_LISTED = 100;

    /** Raised when the rules or the order of work change so that old scores can't stand for new ones. */
    private static final String CODE = "1";

    /**
     * A benchmark, read and checked.
     *
     * @param name of the spec; also the name of its files
     */
    record Task(String name, MultipleChoiceTable table, List<Protocol> protocols) {
        Task {
            protocols = protocols.stream().distinct().toList();
        }
    }

    private final Subject subject;
    private final OptionLikelihood.Style style;
    private final int maxNewTokens;
    private final RunFiles files;
    private final EvalStage.Progress progress;

    Evaluator(
            Subject subject,
            OptionLikelihood.Style style,
            int maxNewTokens,
            RunFiles files,
            EvalStage.Progress progress) {
        this.subject = subject;
        this.style = style;
        this.maxNewTokens = maxNewTokens;
        this.files = files;
        this.progress = progress;
    }

    /** Results of all tasks in their order; those of earlier attempts are taken over when nothing they depend on has changed. */
    List<BenchmarkResult> run(List<Task> tasks) {
        long total = tasks.stream()
                .mapToLong(task -> (long) task.table().questions().size()
                        * task.protocols().size())
                .sum();
        List<Finished> before = files.read();
        List<Finished> finished = new ArrayList<>();
        long done = 0;
        for (Task task : tasks) {
            for (Protocol protocol : task.protocols()) {
                String key = key(task, protocol);
                Optional<Finished> earlier =
                        RunFiles.find(before, key).filter(one -> files.hasPredictions(fileName(task, protocol)));
                long doneBefore = done;
                Finished now = earlier.orElseGet(() -> score(
                        task, protocol, key, asked -> progress.report(doneBefore + asked, total, status(finished))));
                finished.add(now);
                done += task.table().questions().size();
                if (earlier.isEmpty()) {
                    files.write(finished);
                }
                progress.report(done, total, status(finished));
            }
        }
        return status(finished);
    }

    private static List<BenchmarkResult> status(List<Finished> finished) {
        return finished.stream()
                .flatMap(one -> one.results().stream())
                .map(Score::forStatus)
                .toList();
    }

    private String key(Task task, Protocol protocol) {
        return Digests.sha256(String.join(
                "\n",
                CODE,
                task.name(),
                protocol.name(),
                subject.digest(),
                task.table().digest(),
                Prompts.digest(protocol, style, maxNewTokens),
                Integer.toString(subject.tokensPerImage())));
    }

    private static String fileName(Task task, Protocol protocol) {
        return task.name() + "_" + protocol.name();
    }

    private interface Asked {
        void rows(long count);
    }

    private Finished score(Task task, Protocol protocol, String key, Asked asked) {
        long start = System.nanoTime();
        Asker asker = protocol == Protocol.OptionLikelihood
                ? new OptionLikelihood(subject, style, OptionLikelihood.NORMALIZATION)
                : new GreedyAnswers(subject, protocol, maxNewTokens);
        List<Skipped> skipped = new ArrayList<>();
        List<Answer> answers = answers(task, asker, skipped, asked);
        if (answers.isEmpty()) {
            throw TrainerException.data("benchmark " + task.name() + " ("
                    + task.table().name() + "): none of the "
                    + skipped.size() + " rows could be asked; the first: index "
                    + skipped.getFirst().index() + ", " + skipped.getFirst().reason());
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        writePredictions(task, protocol, answers);
        long unparsed =
                answers.stream().filter(answer -> answer.letter().isEmpty()).count();
        String split = answers.stream()
                .map(answer -> answer.question().split())
                .filter(name -> !name.isEmpty())
                .distinct()
                .limit(4)
                .collect(Collectors.joining("+"));
        List<BenchmarkResult> results = Score.of(task.name(), protocol, answers).stream()
                .map(score -> new BenchmarkResult(
                        task.name(),
                        split.isEmpty() ? null : split,
                        protocol.name(),
                        score.metric(),
                        score.value(),
                        score.interval(),
                        score.chance(),
                        (long) answers.size(),
                        unparsed,
                        (long) skipped.size(),
                        subject.step(),
                        subject.digest(),
                        task.table().digest(),
                        Prompts.digest(protocol, style, maxNewTokens),
                        subject.tokensPerImage(),
                        seconds,
                        score.categories()))
                .toList();
        return new Finished(
                task.name(), protocol.name(), key, results, skipped.subList(0, Math.min(MAX_LISTED, skipped.size())));
    }

    /** A question and its sequences. */
    private record Prepared(Question question, List<EncodedText> texts, long tokens) {}

    /** Answers in the order of the file. Questions of like length go together, so that little is padded. */
    private List<Answer> answers(Task task, Asker asker, List<Skipped> skipped, Asked asked) {
        List<Prepared> prepared = new ArrayList<>();
        for (Question question : task.table().questions()) {
            List<EncodedText> texts = asker.texts(question);
            long longest = texts.stream()
                            .mapToLong(text -> text.length(subject.tokensPerImage()))
                            .max()
                            .orElse(0)
                    + asker.room();
            if (longest > subject.longest()) {
                skipped.add(new Skipped(
                        question.index(),
                        "the question takes " + longest + " tokens, the model reads " + subject.longest()));
            } else {
                prepared.add(new Prepared(question, texts, longest * texts.size()));
            }
        }
        prepared.sort(Comparator.comparingLong(Prepared::tokens)
                .reversed()
                .thenComparingInt(one -> one.question().row()));
        Map<Integer, Answer> byRow = new HashMap<>();
        int from = 0;
        while (from < prepared.size()) {
            List<Asker.Seen> seen = new ArrayList<>();
            long tokens = 0;
            int to = from;
            while (to < prepared.size()
                    && to - from < QUESTIONS_AT_ONCE
                    && (to == from || tokens + prepared.get(to).tokens() <= TOKENS_AT_ONCE)) {
                Prepared one = prepared.get(to++);
                tokens += one.tokens();
                switch (task.table().pixels(one.question(), subject.imageSize())) {
                    case MultipleChoiceTable.Pixels.Decoded(float[] values) ->
                        seen.add(new Asker.Seen(one.question(), one.texts(), List.of(values)));
                    case MultipleChoiceTable.Pixels.Broken(String reason) ->
                        skipped.add(new Skipped(one.question().index(), reason));
                }
            }
            if (!seen.isEmpty()) {
                asker.ask(seen).forEach(answer -> byRow.put(answer.question().row(), answer));
            }
            from = to;
            asked.rows((long) byRow.size() + skipped.size());
        }
        skipped.sort(Comparator.comparingLong(Skipped::index));
        return task.table().questions().stream()
                .map(question -> byRow.get(question.row()))
                .filter(answer -> answer != null)
                .toList();
    }

    private void writePredictions(Task task, Protocol protocol, List<Answer> answers) {
        List<List<String>> rows = new ArrayList<>();
        for (Answer answer : answers) {
            List<String> cells = new ArrayList<>(task.table().cells(answer.question()));
            cells.add(answer.text());
            cells.add(answer.hit() ? "1" : "0");
            rows.add(cells);
        }
        files.writePredictions(fileName(task, protocol), task.table().columns(), rows);
    }
}
