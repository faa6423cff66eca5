package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.Classify;
import io.vlmoperator.operator.policy.Reason;
import io.vlmoperator.operator.policy.Restart;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The attempts of a resource and what was used of its budgets, as one pass changes them. */
final class Ledger {
    /** Attempts in a status. */
    static final int ATTEMPTS = 10;

    private final Subject subject;
    private final Observed observed;
    private final RunStatus old;
    private final Instant now;
    private final List<Attempt> attempts;
    private Restarts restarts;
    private Optional<Instant> startedAt;

    /** @param saved there is a new durable checkpoint: budgets begin anew */
    Ledger(Subject subject, Observed observed, boolean saved) {
        this.subject = subject;
        this.observed = observed;
        this.old = subject.status();
        this.now = observed.now().truncatedTo(ChronoUnit.SECONDS);
        this.attempts = new ArrayList<>(old.attempts());
        this.restarts = saved ? Restart.refill(old.restarts()) : old.restarts();
        this.startedAt = old.startedAt();
    }

    List<Attempt> attempts() {
        return attempts;
    }

    Restarts restarts() {
        return restarts;
    }

    /** When the first attempt began. */
    Optional<Instant> startedAt() {
        return startedAt;
    }

    Optional<Attempt> last() {
        return attempts.isEmpty() ? Optional.empty() : Optional.of(attempts.getLast());
    }

    /** Number of the newest attempt; 0 before the first. */
    int newest() {
        return last().map(Attempt::number).orElse(0);
    }

    Optional<Attempt> running() {
        return last().filter(attempt -> attempt.endedAt() == null);
    }

    /** A Job that the status does not know was made just before the operator was stopped. */
    void recover() {
        for (AttemptJob job : observed.jobs()) {
            if (newest() < job.attempt()) {
                begin(
                        job.attempt(),
                        job.stage(),
                        job.createdAt(),
                        job.state() == AttemptJob.State.Suspended ? null : world(job));
            }
        }
    }

    /** @param world null while a queue has not said how many may work */
    void begin(int number, Optional<DatasetStage> stage, Instant at, Integer world) {
        var start = at.truncatedTo(ChronoUnit.SECONDS);
        attempts.add(Attempt.begun(number, start.toString(), world)
                .at(stage.map(DatasetStage::word).orElse(null)));
        startedAt = startedAt.or(() -> Optional.of(start));
        while (attempts.size() > ATTEMPTS) {
            attempts.removeFirst();
        }
    }

    /** A queue has let the attempt go, perhaps with fewer nodes than were asked for. */
    void admitted(AttemptJob job) {
        replaceLast(attempts.getLast().withWorld(world(job)));
    }

    /** The running attempt has told from which checkpoint it goes on. */
    void resumed() {
        var attempt = attempts.getLast();
        observed.report(attempt.number())
                .map(report -> report.body().resumedFrom())
                .filter(from -> attempt.resumedFrom() == null)
                .ifPresent(from -> replaceLast(attempt.withResumedFrom(from)));
    }

    void succeed(List<WorkerPod> pods) {
        var attempt = attempts.getLast();
        var word = pods.stream()
                .filter(pod -> pod.index() == 0)
                .flatMap(pod -> pod.end().stream())
                .flatMap(end -> end.lastWord().stream())
                .findFirst();
        replaceLast(attempt.ended(
                endOfJob(attempt),
                null,
                Reason.Completed.name(),
                null,
                0,
                null,
                lastStep(attempt, word),
                resumedFrom(attempt, word)));
        if (attempt.stage() != null) {
            restarts = Restart.refill(restarts); // what a stage has done is as durable as a checkpoint
        }
    }

    /** The last attempt failed by itself. */
    void end(Classify.Cause cause) {
        var attempt = attempts.getLast();
        replaceLast(attempt.ended(
                endOfJob(attempt),
                cause.reason().failureClass().name(),
                cause.reason().name(),
                cause.message(),
                cause.exitCode().isPresent() ? cause.exitCode().getAsInt() : null,
                cause.node().isEmpty() ? null : cause.node(),
                lastStep(attempt, cause.lastWord()),
                resumedFrom(attempt, cause.lastWord())));
        restarts = Restart.count(restarts, cause.reason().failureClass());
    }

    /** The last attempt was ended, or is gone. */
    void end(Reason reason, String message) {
        var attempt = attempts.getLast();
        var failure = reason.failureClass();
        replaceLast(attempt.ended(
                now.toString(),
                failure == FailureClass.None ? null : failure.name(),
                reason.name(),
                message.isEmpty() ? null : message,
                null,
                null,
                lastStep(attempt, Optional.empty()),
                resumedFrom(attempt, Optional.empty())));
        restarts = Restart.count(restarts, failure);
    }

    /** The last attempt ended because only so many of its workers had a node. */
    void endFor(int scheduled, Reason reason, String message) {
        end(reason, message);
        replaceLast(attempts.getLast().withScheduled(scheduled));
    }

    /** A person's edit gives a failed resource fresh budgets. */
    void refill() {
        restarts = Restart.refill(restarts);
    }

    private String endOfJob(Attempt attempt) {
        return observed.job(attempt.number())
                .flatMap(AttemptJob::endedAt)
                .orElse(now)
                .toString();
    }

    private Long lastStep(Attempt attempt, Optional<TerminationMessage> word) {
        return word.map(TerminationMessage::step)
                .or(() -> observed.report(attempt.number())
                        .map(report -> report.body().step()))
                .or(() -> old.progress()
                        .filter(progress -> attempt.number().equals(progress.attempt()))
                        .map(Progress::step))
                .orElse(null);
    }

    private Long resumedFrom(Attempt attempt, Optional<TerminationMessage> word) {
        return word.map(TerminationMessage::resumedFrom)
                .or(() -> observed.report(attempt.number())
                        .map(report -> report.body().resumedFrom()))
                .orElse(attempt.resumedFrom());
    }

    private int world(AttemptJob job) {
        return job.nodes() * subject.work().processesPerNode(job.stage().orElse(null));
    }

    private void replaceLast(Attempt attempt) {
        attempts.set(attempts.size() - 1, attempt);
    }
}
