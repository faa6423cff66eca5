package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.status.Figures;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Everything a decision reads besides the resource itself; immutable, taken once a pass.
 *
 * @param now the clock
 * @param operatorStart silence before it is nobody's fault: reports could not arrive
 * @param jobs of this resource, oldest attempt first
 * @param pods of this resource, of all attempts
 * @param report the newest progress report
 * @param references what the spec refers to
 * @param evaluations EvalJobs that this resource owns
 * @param frozenDigest of what the last attempt was made with, read where its Job is gone: the Job of a stopped attempt is deleted,
 *     its frozen job is not
 */
public record Observed(
        Instant now,
        Instant operatorStart,
        List<AttemptJob> jobs,
        List<WorkerPod> pods,
        Optional<Report> report,
        Resolution references,
        List<Evaluation> evaluations,
        Optional<String> frozenDigest) {
    public Observed {
        jobs = jobs.stream()
                .sorted(Comparator.comparingInt(AttemptJob::attempt))
                .toList();
        pods = List.copyOf(pods);
        evaluations = List.copyOf(evaluations);
    }

    /** A progress report and when it came. */
    public record Report(ProgressReport body, Instant receivedAt) {}

    /** An EvalJob made for a checkpoint. */
    public record Evaluation(
            String name, long step, boolean finished, List<io.vlmoperator.api.status.BenchmarkResult> results) {
        public Evaluation {
            results = List.copyOf(results);
        }
    }

    public Optional<AttemptJob> job(int attempt) {
        return jobs.stream().filter(job -> job.attempt() == attempt).findFirst();
    }

    public List<WorkerPod> pods(int attempt) {
        return pods.stream().filter(pod -> pod.attempt() == attempt).toList();
    }

    /** The newest report of this attempt. */
    public Optional<Report> report(int attempt) {
        return report.filter(r -> r.body().attempt() == attempt);
    }

    /**
     * What an attempt warned of last, cut as {@code status.progress} has it: a replica that did not hear of it itself reads it there.
     *
     * @param status the old one
     */
    public Optional<String> warning(int attempt, RunStatus status) {
        return report(attempt)
                .map(told -> told.body().warnings().stream().findFirst())
                .orElseGet(() -> status.progress()
                        .filter(progress -> progress.attempt() != null && progress.attempt() == attempt)
                        .map(Progress::warning))
                .map(Figures::line);
    }
}
