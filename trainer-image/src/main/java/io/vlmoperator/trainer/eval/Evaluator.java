package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.eval.RunFiles.Finished;
import io.vlmoperator.trainer.eval.RunFiles.Skipped;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/**
 * Asks one subject the questions of several benchmarks, writes what came of it, and skips what an earlier attempt finished. Every worker
 * runs it; the first one alone reads and writes files.
 */
final class Evaluator {
    /** Skipped rows that the result file lists; all of them are counted. */
    private static final int MAX_LISTED = 100;

    /** Raised when the order of work changes so that old scores can't stand for new ones. */
    private static final String CODE = "2";

    private final Subject subject;
    private final OptionLikelihood.Style style;
    private final int maxNewTokens;
    private final Optional<RunFiles> files;
    private final Communicator ranks;
    private final EvalStage.Progress progress;

    /** @param files of the first worker; empty on the others */
    Evaluator(
            Subject subject,
            OptionLikelihood.Style style,
            int maxNewTokens,
            Optional<RunFiles> files,
            Communicator ranks,
            EvalStage.Progress progress) {
        this.subject = subject;
        this.style = style;
        this.maxNewTokens = maxNewTokens;
        this.files = files;
        this.ranks = ranks;
        this.progress = progress;
    }

    /**
     * Results of all tasks in their order; those of earlier attempts are taken over when nothing they depend on has changed. Empty on all
     * workers but the first.
     */
    List<BenchmarkResult> run(List<Task> tasks) {
        long total = tasks.stream()
                .mapToLong(task -> (long) task.asked().size()
                        * task.passes()
                        * task.protocols().size())
                .sum();
        List<Finished> before = files.map(RunFiles::read).orElse(List.of());
        List<Finished> finished = new ArrayList<>();
        long done = 0;
        for (Task task : tasks) {
            for (Protocol protocol : task.protocols()) {
                Pass pass = new Pass(task, protocol, task.rule(protocol));
                Optional<Finished> earlier = RunFiles.find(before, key(pass)).filter(_ -> pass.isWritten(files));
                if (Gather.decision(ranks, earlier.isPresent())) {
                    earlier.ifPresent(finished::add);
                } else {
                    long doneBefore = done;
                    Finished now = score(pass, asked -> progress.report(doneBefore + asked, total, status(finished)));
                    files.ifPresent(folder -> {
                        finished.add(now);
                        folder.write(finished);
                    });
                }
                done += (long) task.asked().size() * task.passes();
                progress.report(done, total, status(finished));
            }
        }
        return status(finished);
    }

    /** One benchmark by one protocol. */
    private record Pass(Task task, Protocol protocol, Rule rule) {
        /** Names of the prediction files: one for each seed. */
        List<String> fileNames() {
            String name = task.name() + "_" + protocol.name();
            return task.fewShot()
                    .map(shots -> shots.seeds().stream()
                            .map(seed -> name + "_seed" + seed)
                            .toList())
                    .orElse(List.of(name));
        }

        boolean isWritten(Optional<RunFiles> files) {
            return files.isPresent() && fileNames().stream().allMatch(files.get()::hasPredictions);
        }
    }

    private static List<BenchmarkResult> status(List<Finished> finished) {
        return finished.stream()
                .flatMap(one -> one.results().stream())
                .map(Score::forStatus)
                .toList();
    }

    private String promptDigest(Pass pass) {
        return Prompts.digest(
                pass.protocol(), style, maxNewTokens, pass.rule(), pass.task().shots());
    }

    private String key(Pass pass) {
        return Digests.sha256(String.join(
                "\n",
                CODE,
                pass.task().name(),
                pass.protocol().name(),
                subject.digest(),
                pass.task().table().digest(),
                promptDigest(pass),
                Integer.toString(subject.tokensPerImage())));
    }

    private Finished score(Pass pass, LongConsumer asked) {
        long start = System.nanoTime();
        Task task = pass.task();
        List<Interview.Outcome> outcomes = new ArrayList<>();
        long before = 0;
        for (int number = 0; number < task.passes(); number++) {
            long doneBefore = before;
            outcomes.add(interview(pass, number, now -> asked.accept(doneBefore + now)));
            before += task.asked().size();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        for (int number = 0; number < outcomes.size(); number++) {
            writePredictions(
                    pass.fileNames().get(number), task, outcomes.get(number).answers());
        }
        return finished(pass, outcomes, seconds);
    }

    /** One pass over the benchmark, with the demonstrations of one seed if there are any. */
    private Interview.Outcome interview(Pass pass, int number, LongConsumer asked) {
        Task task = pass.task();
        int side = subject.imageSize();
        Demonstrations shots = task.fewShot()
                .map(wanted -> Demonstrations.draw(
                        task.name(),
                        task.pool(),
                        wanted,
                        wanted.seeds().get(number),
                        question -> task.poolTable().pixels(question, side)))
                .orElse(Demonstrations.NONE);
        Set<Question> shown = task.poolTable() == task.table() ? new HashSet<>(shots.questions()) : Set.of();
        List<Question> questions =
                task.asked().stream().filter(one -> !shown.contains(one)).toList();
        Asker asker = pass.protocol() == Protocol.OptionLikelihood
                ? new OptionLikelihood(subject, style, OptionLikelihood.NORMALIZATION, shots.questions())
                : new GeneratedAnswers(subject, pass.protocol(), pass.rule(), maxNewTokens, shots.questions());
        Interview.Outcome outcome = new Interview(subject, ranks)
                .ask(questions, shots, asker, question -> task.table().pixels(question, side), asked);
        if (outcome.answers().isEmpty()) {
            throw TrainerException.data("benchmark " + task.name() + " ("
                    + task.table().name() + "): none of the "
                    + questions.size() + " rows could be asked"
                    + outcome.skipped().stream()
                            .findFirst()
                            .map(first -> "; the first: index " + first.index() + ", " + first.reason())
                            .orElse(": all of them are demonstrations"));
        }
        return outcome;
    }

    private Finished finished(Pass pass, List<Interview.Outcome> outcomes, double seconds) {
        Task task = pass.task();
        List<Answer> answers =
                outcomes.stream().flatMap(outcome -> outcome.answers().stream()).toList();
        long unparsed =
                answers.stream().filter(answer -> answer.read().isEmpty()).count();
        String split = answers.stream()
                .map(answer -> answer.question().split())
                .filter(name -> !name.isEmpty())
                .distinct()
                .limit(4)
                .collect(Collectors.joining("+"));
        List<List<Score>> passes = outcomes.stream()
                .map(outcome -> pass.rule().scores(outcome.answers()))
                .toList();
        List<Score> scores = Score.overPasses(passes);
        List<Skipped> skipped = outcomes.getFirst().skipped();
        String digest = promptDigest(pass);
        List<BenchmarkResult> results = new ArrayList<>();
        for (int metric = 0; metric < scores.size(); metric++) {
            Score score = scores.get(metric);
            Double spread = Score.spread(passes, metric);
            results.add(new BenchmarkResult(
                    task.name(),
                    split.isEmpty() ? null : split,
                    pass.protocol().name(),
                    score.metric(),
                    score.value(),
                    score.interval(),
                    score.chance(),
                    (long) outcomes.getFirst().answers().size(),
                    unparsed,
                    (long) skipped.size(),
                    subject.step(),
                    subject.digest(),
                    task.table().digest(),
                    digest,
                    subject.tokensPerImage(),
                    seconds,
                    task.fewShot()
                            .map(shots -> new BenchmarkResult.FewShot(shots.shots(), passes.size(), spread))
                            .orElse(null),
                    score.categories()));
        }
        return new Finished(
                task.name(),
                pass.protocol().name(),
                key(pass),
                results,
                skipped.subList(0, Math.min(MAX_LISTED, skipped.size())));
    }

    private void writePredictions(String name, Task task, List<Answer> answers) {
        if (files.isEmpty()) {
            return;
        }
        List<List<String>> rows = new ArrayList<>();
        for (Answer answer : answers) {
            List<String> cells = new ArrayList<>(task.table().cells(answer.question()));
            cells.add(answer.text());
            cells.add(
                    answer.score() == Math.rint(answer.score())
                            ? Integer.toString((int) answer.score())
                            : Double.toString(answer.score()));
            rows.add(cells);
        }
        files.get().writePredictions(name, task.table().columns(), rows);
    }
}
