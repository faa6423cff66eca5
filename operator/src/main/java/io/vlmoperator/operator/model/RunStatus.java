package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoints;
import io.vlmoperator.api.status.Condition;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The status of any of the four kinds; what a kind does not have stays empty. {@code progress} is read only: another field manager
 * writes it.
 */
public record RunStatus(
        Optional<Phase> phase,
        long observedGeneration,
        Optional<Instant> startedAt,
        Optional<Instant> finishedAt,
        Optional<Progress> progress,
        Optional<Checkpoints> checkpoints,
        List<BenchmarkResult> results,
        List<Attempt> attempts,
        Restarts restarts,
        Optional<Export> export,
        Optional<DatasetSummary> dataset,
        Optional<String> source,
        List<Condition> conditions) {
    public static final Restarts NO_RESTARTS = new Restarts(0, 0, 0);
    public static final RunStatus EMPTY = new RunStatus(
            Optional.empty(),
            0,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            List.of(),
            List.of(),
            NO_RESTARTS,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            List.of());

    public RunStatus {
        results = List.copyOf(results);
        attempts = List.copyOf(attempts);
        conditions = List.copyOf(conditions);
    }

    /** The same with other conditions. */
    public RunStatus withConditions(List<Condition> other) {
        return new RunStatus(
                phase,
                observedGeneration,
                startedAt,
                finishedAt,
                progress,
                checkpoints,
                results,
                attempts,
                restarts,
                export,
                dataset,
                source,
                other);
    }

    /** The newest attempt. */
    public Optional<Attempt> lastAttempt() {
        return attempts.isEmpty() ? Optional.empty() : Optional.of(attempts.getLast());
    }

    public Optional<Condition> condition(String type) {
        return conditions.stream().filter(c -> c.type().equals(type)).findFirst();
    }

    public boolean isTrue(String type) {
        return condition(type).filter(c -> "True".equals(c.status())).isPresent();
    }

    /** Complete or Failed. */
    public boolean finished() {
        return isTrue("Complete") || isTrue("Failed");
    }

    /** Step of the newest durable checkpoint; -1 without one. */
    public long latestStep() {
        return checkpoints
                .map(Checkpoints::latest)
                .map(latest -> latest.step() == null ? -1 : latest.step())
                .orElse(-1L);
    }
}
