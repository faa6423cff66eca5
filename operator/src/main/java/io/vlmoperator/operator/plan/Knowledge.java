package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.Evaluation;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What workers have told, by reports and by their last words, merged with what the status already says. Reports may be lost and the
 * operator may have been away, so every source may be the newest.
 */
record Knowledge(
        Optional<Checkpoints> checkpoints,
        List<BenchmarkResult> results,
        Optional<Export> export,
        Optional<DatasetSummary> dataset) {
    /** Checkpoints in a status; the rest is in storage. */
    static final int RECENT = 5;

    static final int MOST_RESULTS = 32;

    static Knowledge of(Subject subject, Observed observed) {
        var report = observed.report().map(Observed.Report::body);
        var words = words(observed.pods());
        return new Knowledge(
                checkpoints(subject, report, words),
                subject.kind() == Kind.EvalJob ? scores(subject, report, words) : Evaluation.results(subject, observed),
                newest(words.stream().map(TerminationMessage::export))
                        .or(() -> subject.status().export()),
                newest(words.stream().map(TerminationMessage::dataset))
                        .or(() -> report.map(ProgressReport::dataset))
                        .or(() -> subject.status().dataset()));
    }

    /** Step of the newest durable checkpoint; -1 without one. */
    long latestStep() {
        return checkpoints.map(all -> all.latest().step()).orElse(-1L);
    }

    /** Last words, oldest attempt first, rank 0 last within an attempt. */
    private static List<TerminationMessage> words(List<WorkerPod> pods) {
        return pods.stream()
                .sorted(Comparator.comparingInt(WorkerPod::attempt)
                        .thenComparing(Comparator.comparingInt(WorkerPod::index).reversed()))
                .flatMap(pod -> pod.end().stream())
                .flatMap(end -> end.lastWord().stream())
                .toList();
    }

    private static <T> Optional<T> newest(Stream<T> values) {
        return values.filter(Objects::nonNull).reduce((older, newer) -> newer);
    }

    private static Optional<Checkpoints> checkpoints(
            Subject subject, Optional<ProgressReport> report, List<TerminationMessage> words) {
        var old = subject.status().checkpoints();
        var known = new ArrayList<Checkpoint>();
        // A report lists all complete checkpoints: what it leaves out was deleted by retention.
        var reported = report.map(ProgressReport::checkpoints).filter(list -> !list.isEmpty());
        reported.ifPresentOrElse(
                known::addAll,
                () -> old.map(Checkpoints::recent).filter(Objects::nonNull).ifPresent(known::addAll));
        long floor = known.stream()
                .map(Checkpoint::step)
                .filter(Objects::nonNull)
                .max(Comparator.naturalOrder())
                .orElse(-1L);
        Stream.concat(
                        // Told to a replica that does not lead.
                        subject.status().progress().map(Progress::checkpoint).stream(),
                        words.stream().map(TerminationMessage::checkpoint))
                .filter(checkpoint -> checkpoint != null && checkpoint.step() != null && checkpoint.step() > floor)
                .forEach(known::add);
        var byStep = new LinkedHashMap<Long, Checkpoint>();
        known.stream()
                .filter(checkpoint -> checkpoint.step() != null)
                .sorted(Comparator.comparing(Checkpoint::step).reversed())
                .forEach(checkpoint -> byStep.putIfAbsent(checkpoint.step(), checkpoint));
        if (byStep.isEmpty()) {
            return old;
        }
        var recent = byStep.values().stream().limit(RECENT).toList();
        var best = newest(words.stream().map(TerminationMessage::best))
                .filter(b -> report.map(ProgressReport::best).isEmpty()
                        || newer(b, report.get().best()))
                .or(() -> report.map(ProgressReport::best))
                .or(() -> old.map(Checkpoints::best))
                .orElse(null);
        return Optional.of(new Checkpoints(recent.getFirst(), best, recent));
    }

    private static boolean newer(Checkpoint word, Checkpoint reported) {
        return word.step() != null && reported.step() != null && word.step() >= reported.step();
    }

    private static List<BenchmarkResult> scores(
            Subject subject, Optional<ProgressReport> report, List<TerminationMessage> words) {
        record Key(String benchmark, String split, String protocol, String metric) {}
        var merged = new LinkedHashMap<Key, BenchmarkResult>();
        Stream.of(
                        subject.status().results().stream(),
                        report.stream().flatMap(r -> r.results().stream()),
                        words.stream().flatMap(word -> word.results().stream()))
                .flatMap(stream -> stream)
                .forEach(r -> merged.put(new Key(r.benchmark(), r.split(), r.protocol(), r.metric()), r));
        return merged.values().stream().limit(MOST_RESULTS).toList();
    }
}
