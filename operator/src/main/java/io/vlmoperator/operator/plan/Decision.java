package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.ExitCode.FailureClass;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.Absence;
import io.vlmoperator.operator.policy.ActiveDeadline;
import io.vlmoperator.operator.policy.Classify;
import io.vlmoperator.operator.policy.Deadline;
import io.vlmoperator.operator.policy.Elastic;
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
    private final Ledger ledger;
    private Optional<Instant> again = Optional.empty();
    private Optional<Instant> finishedAt;

    Decision(Subject subject, Observed observed, String retryDigest) {
        this.subject = subject;
        this.observed = observed;
        this.retryDigest = retryDigest;
        this.old = subject.status();
        this.now = observed.now().truncatedTo(ChronoUnit.SECONDS);
        this.knowledge = Knowledge.of(subject, observed);
        this.ledger = new Ledger(subject, observed, knowledge.latestStep() > old.latestStep());
        this.finishedAt = old.finishedAt();
    }

    Plan make() {
        ledger.recover();
        forget();
        if (old.finished()) {
            return Reopen.check(subject, observed, retryDigest) ? reopen() : finished();
        }
        if (ActiveDeadline.check(subject, observed) instanceof Deadline.Over over) {
            ledger.running().ifPresent(attempt -> stop(attempt, over.reason(), over.message()));
            return fail(over.reason(), over.message());
        }
        lookAgain(ActiveDeadline.check(subject, observed));
        var running = ledger.running();
        if (running.isPresent()) {
            var stage = settle(running.get());
            if (stage.isPresent()) {
                return stage.get();
            }
        }
        return next();
    }

    private void forget() {
        observed.jobs().stream()
                .filter(job -> job.attempt() <= ledger.newest() - KEPT_JOBS)
                .forEach(job -> actions.add(new Action.ForgetAttempt(job.attempt())));
    }

    /** The plan while the attempt goes on; empty when it has ended. */
    private Optional<Plan> settle(Attempt attempt) {
        int number = attempt.number();
        var found = observed.job(number);
        if (found.isEmpty()) {
            if (subject.work().suspend()) {
                ledger.end(Reason.Suspended, "");
            } else {
                ledger.end(Reason.WorkersVanished, "The Job of the attempt was deleted");
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
                ledger.succeed(pods);
                return Optional.empty();
            }
            case Failed -> {
                var cause = Classify.of(job, pods);
                if (cause.reason() == Reason.WorkersVanished && lagging(job)) {
                    return Optional.of(goesOn(job, pods));
                }
                ledger.end(cause);
                return Optional.empty();
            }
            case Failing -> {
                var cause = Classify.of(job, pods);
                if (!Classify.decisive(cause) || cause.reason() == Reason.WorkersVanished) {
                    return Optional.of(goesOn(job, pods));
                }
                ledger.end(cause);
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
            ledger.end(Reason.Suspended, "");
            return Optional.empty();
        }
        if (subject.work().workers().queue() != null) {
            if (job.state() == AttemptJob.State.Suspended && attempt.world() != null) {
                // The same Job would come back with the attempt number that the run folder has seen already.
                stop(attempt, Reason.Requeued, "The queue took the workers back; the next attempt waits in it");
                return Optional.empty();
            }
            if (job.state() == AttemptJob.State.Active && attempt.world() == null) {
                admitted(job);
            }
        }
        for (Deadline clock :
                List.of(Startup.check(subject, observed, job), Hang.check(subject, observed, attempt.number()))) {
            if (clock instanceof Deadline.Over over) {
                expired(attempt, job, over);
                return Optional.empty();
            }
            lookAgain(clock);
        }
        return Optional.of(goesOn(job, pods));
    }

    /** The queue says how many may work; what was frozen before can't know. */
    private void admitted(AttemptJob job) {
        if (job.partly()) {
            actions.add(new Action.TellNodes(job.attempt(), job.nodes()));
        }
        ledger.admitted(job);
    }

    private void expired(Attempt attempt, AttemptJob job, Deadline.Over over) {
        var shortage = over.reason() == Reason.StartupDeadlineExceeded
                ? Elastic.shortage(subject.work(), job, observed.pods(job.attempt()))
                : Optional.<Elastic.Shortage>empty();
        if (shortage.isEmpty()) {
            stop(attempt, over.reason(), over.message());
            return;
        }
        actions.add(new Action.StopAttempt(attempt.number()));
        ledger.endFor(
                shortage.get().scheduled(), Reason.NodesMissing, shortage.get().message());
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
        ledger.resumed();
        var stage = Stages.words(subject.work(), job.stage());
        if (job.state() == AttemptJob.State.Suspended) {
            return plan(
                    Stage.Queued,
                    Reason.WaitingForQuota,
                    "Waiting for the queue to admit attempt " + job.attempt() + stage);
        }
        long up = pods.stream()
                .filter(pod -> pod.phase() == WorkerPod.Phase.Running || pod.over())
                .count();
        boolean reporting = Hang.lastHeard(subject, observed, job.attempt()).isPresent();
        if (reporting || up >= job.nodes() && up > 0) {
            return plan(
                    Stage.Running,
                    Reason.Running,
                    "Attempt " + job.attempt() + stage + " runs" + fewer(job.nodes(), job.stage()),
                    reporting,
                    false);
        }
        var trouble = Startup.trouble(pods);
        return trouble.map(t -> plan(Stage.Starting, t.reason(), t.message()))
                .orElseGet(() ->
                        plan(Stage.Starting, Reason.Starting, "Attempt " + job.attempt() + stage + " is starting"));
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
        var last = ledger.last();
        if (last.filter(attempt -> Stages.complete(attempt)).isPresent()) {
            finishedAt = Optional.of(Instant.parse(last.get().endedAt()));
            return plan(
                    Stage.Complete,
                    Reason.Completed,
                    "Attempt " + last.get().number() + " completed the work" + refused());
        }
        var failed = last.filter(attempt -> Restart.classOf(attempt) != FailureClass.None);
        Optional<Instant> notBefore = Optional.empty();
        if (failed.isPresent()) {
            switch (Restart.after(
                    ledger.attempts(), ledger.restarts(), subject.work().failure())) {
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
            case Resolution.Blocked blocked -> waits(blocked);
            case Resolution.Ready ready -> start(ready);
        };
    }

    private Plan waits(Resolution.Blocked blocked) {
        var absence = Absence.check(subject, observed, blocked);
        if (absence instanceof Deadline.Over over) {
            return plan(Stage.Waiting, over.reason(), over.message(), false, true);
        }
        lookAgain(absence);
        return plan(Stage.Waiting, blocked.reason(), blocked.message(), false, blocked.needsPerson());
    }

    private Plan start(Resolution.Ready ready) {
        int number = ledger.newest() + 1;
        var stage = Stages.next(subject.work(), ledger.last());
        var workers = subject.work().workers(stage.orElse(null));
        int nodes = Elastic.nodes(workers, ledger.last());
        actions.add(new Action.StartAttempt(Planner.frozen(subject, number, nodes, stage, ready), ready.locations()));
        ledger.begin(
                number,
                stage,
                now,
                workers.queue() != null
                        ? null
                        : Integer.valueOf(nodes * subject.work().processesPerNode(stage.orElse(null))));
        return plan(
                Stage.Starting,
                Reason.Starting,
                "Attempt " + number + Stages.words(subject.work(), stage) + " is starting" + fewer(nodes, stage));
    }

    /** For as long as it lasts: the work goes slower than its spec says. */
    private String fewer(int nodes, Optional<DatasetStage> stage) {
        int wanted = subject.work().workers(stage.orElse(null)).nodes();
        return nodes < wanted ? " with " + nodes + " of " + wanted + " nodes" : "";
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
            ledger.refill();
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

    private void stop(Attempt attempt, Reason reason, String message) {
        actions.add(new Action.StopAttempt(attempt.number()));
        ledger.end(reason, message);
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
                        ledger.running().flatMap(attempt -> observed.warning(attempt.number(), old)),
                        needsPerson,
                        ledger.attempts(),
                        ledger.restarts(),
                        knowledge.checkpoints(),
                        knowledge.results(),
                        knowledge.export(),
                        knowledge.dataset(),
                        old.source().or(this::source),
                        ledger.startedAt(),
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
