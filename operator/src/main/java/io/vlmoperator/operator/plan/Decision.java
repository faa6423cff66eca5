package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.api.status.TrainingStatus.Restarts;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.ActiveDeadline;
import io.vlmoperator.operator.policy.Classify;
import io.vlmoperator.operator.policy.Deadline;
import io.vlmoperator.operator.policy.Evaluation;
import io.vlmoperator.operator.policy.Hang;
import io.vlmoperator.operator.policy.Reason;
import io.vlmoperator.operator.policy.References;
import io.vlmoperator.operator.policy.Reopen;
import io.vlmoperator.operator.policy.Restart;
import io.vlmoperator.operator.policy.Startup;
import io.vlmoperator.operator.policy.Ttl;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * One decision in the making, read from top to bottom in {@link #make}: recover the attempts, take in what workers told, settle the
 * running attempt, then go on from there. Holds state for one pass only.
 */
final class Decision {
    /** Attempts in a status. */
    static final int ATTEMPTS = 10;
    /** Attempts whose Jobs, pods and logs are kept. */
    static final int KEPT_JOBS = 3;
    /** Caches of Jobs and pods fill independently: so long a Job's end waits for its pods' last words. */
    private static final Duration POD_CACHE_LAG = Duration.ofSeconds(10);
    /** After the grace period and this, the fence in storage has to keep old workers out. */
    private static final Duration OLD_WORKERS = Duration.ofSeconds(60);
    /** So often an edited failed resource that can't start is looked at. */
    private static final Duration REOPEN_AGAIN = Duration.ofSeconds(15);

    private final Subject subject;
    private final Observed observed;
    private final String retryDigest;
    private final RunStatus old;
    private final Instant now;
    private final Knowledge knowledge;

    private final List<Action> actions = new ArrayList<>();
    private final List<Attempt> attempts;
    private Restarts restarts;
    private Optional<Instant> again = Optional.empty();
    private Optional<Instant> startedAt;
    private Optional<Instant> finishedAt;

    Decision(Subject subject, Observed observed, String retryDigest) {
        this.subject = subject;
        this.observed = observed;
        this.retryDigest = retryDigest;
        this.old = subject.status();
        this.now = observed.now().truncatedTo(ChronoUnit.SECONDS);
        this.knowledge = Knowledge.of(subject, observed);
        this.attempts = new ArrayList<>(old.attempts());
        this.startedAt = old.startedAt();
        this.finishedAt = old.finishedAt();
        boolean saved = knowledge.latestStep() > old.latestStep();
        this.restarts = saved ? Restart.refill(old.restarts()) : old.restarts();
    }

    Plan make() {
        recover();
        forget();
        if (old.finished()) {
            return Reopen.check(subject, observed, retryDigest) ? reopen() : finished();
        }
        if (ActiveDeadline.check(subject, observed) instanceof Deadline.Over over) {
            running().ifPresent(attempt -> stop(attempt, over.reason(), over.message()));
            return fail(over.reason(), over.message());
        }
        lookAgain(ActiveDeadline.check(subject, observed));
        var running = running();
        if (running.isPresent()) {
            var stage = settle(running.get());
            if (stage.isPresent()) {
                return stage.get();
            }
        }
        return next();
    }

    /** A Job that the status does not know was made just before the operator was stopped. */
    private void recover() {
        for (AttemptJob job : observed.jobs()) {
            if (attempts.isEmpty() || attempts.getLast().number() < job.attempt()) {
                add(begun(job.attempt(), job.createdAt()));
            }
        }
    }

    private void forget() {
        int newest = attempts.isEmpty() ? 0 : attempts.getLast().number();
        observed.jobs().stream()
                .filter(job -> job.attempt() <= newest - KEPT_JOBS)
                .forEach(job -> actions.add(new Action.ForgetAttempt(job.attempt())));
    }

    private Optional<Attempt> running() {
        return attempts.isEmpty() || attempts.getLast().endedAt() != null
                ? Optional.empty()
                : Optional.of(attempts.getLast());
    }

    /** The plan while the attempt goes on; empty when it has ended. */
    private Optional<Plan> settle(Attempt attempt) {
        int number = attempt.number();
        var found = observed.job(number);
        if (found.isEmpty()) {
            if (subject.work().suspend()) {
                end(attempt, Reason.Suspended, "", Optional.empty());
            } else {
                end(attempt, Reason.WorkersVanished, "The Job of the attempt was deleted", Optional.empty());
            }
            return Optional.empty();
        }
        var job = found.get();
        var pods = observed.pods(number);
        switch (job.state()) {
            case Complete -> {
                if (pods.stream().noneMatch(pod -> pod.index() == 0 && pod.end().isPresent()) && lagging(job)) {
                    return Optional.of(goesOn(job, pods));
                }
                succeed(attempt, pods);
                return Optional.empty();
            }
            case Failed -> {
                var cause = Classify.of(job, pods);
                if (cause.reason() == Reason.WorkersVanished && lagging(job)) {
                    return Optional.of(goesOn(job, pods));
                }
                end(attempt, cause);
                return Optional.empty();
            }
            case Failing -> {
                var cause = Classify.of(job, pods);
                if (!Classify.decisive(cause) || cause.reason() == Reason.WorkersVanished) {
                    return Optional.of(goesOn(job, pods));
                }
                end(attempt, cause);
                return Optional.empty();
            }
            case Active, Suspended -> {
                return ongoing(attempt, job, pods);
            }
        }
        throw new AssertionError(job.state());
    }

    private Optional<Plan> ongoing(Attempt attempt, AttemptJob job, List<WorkerPod> pods) {
        if (subject.work().suspend()) {
            actions.add(new Action.StopAttempt(attempt.number()));
            end(attempt, Reason.Suspended, "", Optional.empty());
            return Optional.empty();
        }
        for (Deadline clock :
                List.of(Startup.check(subject, observed, job), Hang.check(subject, observed, attempt.number()))) {
            if (clock instanceof Deadline.Over over) {
                stop(attempt, over.reason(), over.message());
                return Optional.empty();
            }
            lookAgain(clock);
        }
        return Optional.of(goesOn(job, pods));
    }

    private boolean lagging(AttemptJob job) {
        var until = job.endedAt().orElse(job.createdAt()).plus(POD_CACHE_LAG);
        if (now.isBefore(until)) {
            lookAgain(now.plusSeconds(1));
            return true;
        }
        return false;
    }

    private Plan goesOn(AttemptJob job, List<WorkerPod> pods) {
        var attempt = attempts.getLast();
        observed.report(attempt.number())
                .map(report -> report.body().resumedFrom())
                .filter(from -> attempt.resumedFrom() == null)
                .ifPresent(from -> replaceLast(new Attempt(
                        attempt.number(),
                        attempt.startedAt(),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        from,
                        attempt.world())));
        if (job.state() == AttemptJob.State.Suspended) {
            return plan(
                    Stage.Queued, Reason.WaitingForQuota, "Waiting for the queue to admit attempt " + job.attempt());
        }
        long up = pods.stream()
                .filter(pod -> pod.phase() == WorkerPod.Phase.Running || pod.over())
                .count();
        boolean reporting = Hang.lastHeard(subject, observed, job.attempt()).isPresent();
        if (reporting || up >= subject.work().nodes() && up > 0) {
            return plan(Stage.Running, Reason.Running, "Attempt " + job.attempt() + " runs", reporting, false);
        }
        var trouble = Startup.trouble(pods);
        return trouble.map(t -> plan(Stage.Starting, t.reason(), t.message()))
                .orElseGet(() -> plan(Stage.Starting, Reason.Starting, "Attempt " + job.attempt() + " is starting"));
    }

    /** What a Dataset left out: a tar that was cut is no failure, but no secret either. */
    private String refused() {
        var counts = knowledge.dataset().stream()
                .flatMap(dataset -> dataset.rejected().stream())
                .map(one -> one.reason() + " " + one.count())
                .collect(Collectors.joining(", "));
        return counts.isEmpty() ? "" : "; left out: " + counts + " (see rejects.jsonl in the output)";
    }

    /** No attempt runs: complete, failed, suspended, waiting, or the next one starts. */
    private Plan next() {
        var last = attempts.isEmpty() ? Optional.<Attempt>empty() : Optional.of(attempts.getLast());
        if (last.filter(attempt -> Reason.Completed.name().equals(attempt.reason()))
                .isPresent()) {
            finishedAt = Optional.of(Instant.parse(last.get().endedAt()));
            return plan(
                    Stage.Complete,
                    Reason.Completed,
                    "Attempt " + last.get().number() + " completed the work" + refused());
        }
        var failed = last.filter(attempt -> Restart.classOf(attempt) != FailureClass.None);
        Optional<Instant> notBefore = Optional.empty();
        if (failed.isPresent()) {
            switch (Restart.after(attempts, restarts, subject.work().failure())) {
                case Restart.Verdict.GiveUp end -> {
                    return fail(end.reason(), end.message());
                }
                case Restart.Verdict.Retry retry -> notBefore = Optional.of(retry.at());
            }
        }
        if (subject.work().suspend()) {
            return plan(Stage.Suspended, Reason.Suspended, "spec.suspend is true; set it to false to go on");
        }
        if (last.isPresent() && oldWorkers(last.get())) {
            return plan(
                    Stage.Restarting,
                    Reason.WaitingForOldWorkers,
                    "Workers of attempt " + last.get().number() + " are still ending");
        }
        if (notBefore.filter(now::isBefore).isPresent()) {
            lookAgain(notBefore.get());
            var attempt = failed.orElseThrow();
            var cause = attempt.message() == null ? "" : ": " + attempt.message();
            return plan(
                    Stage.Restarting,
                    Reason.BackingOff,
                    "Attempt " + attempt.number() + " ended (" + attempt.reason() + "); the next starts at "
                            + notBefore.get() + cause);
        }
        return switch (observed.references()) {
            case Resolution.Blocked blocked ->
                plan(Stage.Waiting, blocked.reason(), blocked.message(), false, blocked.needsPerson());
            case Resolution.Ready ready -> start(ready);
        };
    }

    private Plan start(Resolution.Ready ready) {
        int number = attempts.isEmpty() ? 1 : attempts.getLast().number() + 1;
        actions.add(new Action.StartAttempt(Planner.frozen(subject, number, ready), ready.locations()));
        add(begun(number, now));
        startedAt = startedAt.or(() -> Optional.of(now));
        return plan(Stage.Starting, Reason.Starting, "Attempt " + number + " is starting");
    }

    private boolean oldWorkers(Attempt last) {
        boolean alive = observed.pods().stream().anyMatch(pod -> !pod.over());
        var until = Instant.parse(last.endedAt())
                .plusSeconds(subject.work().failure().gracePeriodSeconds())
                .plus(OLD_WORKERS);
        if (alive && now.isBefore(until)) {
            lookAgain(until);
            return true;
        }
        return false;
    }

    /** A failed resource goes on, if the edit was enough for that. */
    private Plan reopen() {
        if (subject.work().suspend()) {
            // Lifting the suspension is one more edit.
            return finished();
        }
        if (ActiveDeadline.check(subject, observed) instanceof Deadline.Over over) {
            return fail(over.reason(), over.message() + "; raise it, and the work goes on");
        }
        if (observed.references() instanceof Resolution.Ready ready) {
            restarts = Restart.refill(restarts);
            finishedAt = Optional.empty();
            return start(ready);
        }
        // What could not be started now (a claim is missing, a request was refused) is started later: the edit must not
        // count as seen.
        var still = finished();
        return new Plan(still.actions(), Optional.empty(), Optional.of(now.plus(REOPEN_AGAIN)));
    }

    private Plan fail(Reason reason, String message) {
        finishedAt = finishedAt.or(() -> Optional.of(now));
        return plan(Stage.Failed, reason, message, false, true);
    }

    /** Finished stays finished: only late results, evaluations and the time to live are looked after. */
    private Plan finished() {
        finishedAt = old.finishedAt();
        switch (Ttl.check(subject, observed)) {
            case Deadline.Over ignored -> {
                return new Plan(List.of(new Action.Expire()), Optional.empty(), Optional.empty());
            }
            case Deadline clock -> lookAgain(clock);
        }
        observed.jobs().stream()
                .filter(job -> !job.ended() && job.state() != AttemptJob.State.Failing)
                .forEach(job -> actions.add(new Action.StopAttempt(job.attempt())));
        boolean complete = old.isTrue("Complete");
        var condition = old.condition(complete ? "Complete" : "Failed").orElseThrow();
        var stage = complete ? Stage.Complete : Stage.Failed;
        return plan(stage, Reason.valueOf(condition.reason()), condition.message(), false, !complete);
    }

    private void succeed(Attempt attempt, List<WorkerPod> pods) {
        var word = pods.stream()
                .filter(pod -> pod.index() == 0)
                .flatMap(pod -> pod.end().stream())
                .flatMap(end -> end.lastWord().stream())
                .findFirst();
        var ended = observed.job(attempt.number()).flatMap(AttemptJob::endedAt).orElse(now);
        replaceLast(new Attempt(
                attempt.number(),
                attempt.startedAt(),
                ended.toString(),
                null,
                Reason.Completed.name(),
                null,
                0,
                null,
                lastStep(attempt, word),
                resumedFrom(attempt, word),
                attempt.world()));
    }

    private void end(Attempt attempt, Classify.Cause cause) {
        var ended = observed.job(attempt.number()).flatMap(AttemptJob::endedAt).orElse(now);
        var node = cause.node().isEmpty() ? null : cause.node();
        var code =
                cause.exitCode().isPresent() ? Integer.valueOf(cause.exitCode().getAsInt()) : null;
        replaceLast(new Attempt(
                attempt.number(),
                attempt.startedAt(),
                ended.toString(),
                cause.reason().failureClass().name(),
                cause.reason().name(),
                cause.message(),
                code,
                node,
                lastStep(attempt, cause.lastWord()),
                resumedFrom(attempt, cause.lastWord()),
                attempt.world()));
        restarts = Restart.count(restarts, cause.reason().failureClass());
    }

    private void stop(Attempt attempt, Reason reason, String message) {
        actions.add(new Action.StopAttempt(attempt.number()));
        end(attempt, reason, message, Optional.empty());
    }

    private void end(Attempt attempt, Reason reason, String message, Optional<TerminationMessage> word) {
        var failure = reason.failureClass();
        replaceLast(new Attempt(
                attempt.number(),
                attempt.startedAt(),
                now.toString(),
                failure == FailureClass.None ? null : failure.name(),
                reason.name(),
                message.isEmpty() ? null : message,
                null,
                null,
                lastStep(attempt, word),
                resumedFrom(attempt, word),
                attempt.world()));
        restarts = Restart.count(restarts, failure);
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

    private Attempt begun(int number, Instant at) {
        int world = subject.work().nodes() * subject.work().processesPerNode();
        return new Attempt(
                number,
                at.truncatedTo(ChronoUnit.SECONDS).toString(),
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                world);
    }

    private void add(Attempt attempt) {
        attempts.add(attempt);
        startedAt = startedAt.or(() -> Optional.of(Instant.parse(attempt.startedAt())));
        while (attempts.size() > ATTEMPTS) {
            attempts.removeFirst();
        }
    }

    private void replaceLast(Attempt attempt) {
        attempts.set(attempts.size() - 1, attempt);
    }

    private void lookAgain(Deadline clock) {
        if (clock instanceof Deadline.Pending pending) {
            lookAgain(pending.until());
        }
    }

    private void lookAgain(Instant at) {
        again = again.filter(earlier -> earlier.isBefore(at)).or(() -> Optional.of(at));
    }

    private Plan plan(Stage stage, Reason reason, String message) {
        return plan(stage, reason, message, false, false);
    }

    private Plan plan(Stage stage, Reason reason, String message, boolean reporting, boolean needsPerson) {
        boolean complete = stage == Stage.Complete;
        if (complete || stage == Stage.Running) {
            Evaluation.next(subject, observed, knowledge.checkpoints().map(all -> all.latest()), complete)
                    .ifPresent(wanted -> actions.add(new Action.Evaluate(wanted)));
        }
        return new Plan(
                actions,
                Optional.of(new Facts(
                        stage,
                        reason,
                        message,
                        reporting,
                        needsPerson,
                        attempts,
                        restarts,
                        knowledge.checkpoints(),
                        knowledge.results(),
                        knowledge.export(),
                        knowledge.dataset(),
                        old.source().or(this::source),
                        startedAt,
                        finishedAt)),
                again);
    }

    /** What an EvalJob scores: KIND/NAME@STEP or a location. */
    private Optional<String> source() {
        if (!(observed.references() instanceof Resolution.Ready ready)) {
            return Optional.empty();
        }
        return ready.checkpoint()
                .map(checkpoint -> References.checkpoint(subject.work())
                        .filter(selected -> checkpoint.step() != null)
                        .map(selected ->
                                selected.ref().kind() + "/" + selected.ref().name() + "@" + checkpoint.step())
                        .orElse(checkpoint.location()));
    }
}
