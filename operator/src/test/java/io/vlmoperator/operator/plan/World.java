package io.vlmoperator.operator.plan;

import static io.vlmoperator.operator.Fixtures.T0;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.Fixtures;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.policy.Elastic;
import io.vlmoperator.operator.status.StatusReport;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** A cluster of values: passes carry plans out on it, tests let things happen between them. */
final class World {
    Subject subject;
    Instant now = T0;
    Instant operatorStart = T0;
    final Map<Integer, AttemptJob> jobs = new TreeMap<>();
    final List<WorkerPod> pods = new ArrayList<>();
    /** What workers were told of a queue's decision, by attempt. */
    final Map<Integer, Integer> told = new TreeMap<>();

    final List<Observed.Evaluation> evaluations = new ArrayList<>();
    Optional<Observed.Report> report = Optional.empty();
    Resolution references = new Resolution.Ready(
            List.of(new ResolvedDataset("captions", "pvc://data/packed", 1, "sha256:d")), Optional.empty(), List.of());
    String digest = "digest";
    /** As the ConfigMap of the last attempt has it. */
    Optional<String> frozenDigest = Optional.empty();

    Plan last = Plan.NOTHING;

    World(String yaml) {
        subject = Fixtures.subject(yaml);
    }

    /** One pass: decide, carry out, write the status. */
    RunStatus pass() {
        last = Planner.decide(
                subject,
                new Observed(
                        now,
                        operatorStart,
                        List.copyOf(jobs.values()),
                        pods,
                        report,
                        references,
                        evaluations,
                        frozenDigest),
                digest);
        for (Action action : last.actions()) {
            switch (action) {
                case Action.StartAttempt start -> jobs.putIfAbsent(start.job().attempt(), made(start.job()));
                case Action.TellNodes tell -> told.put(tell.attempt(), tell.nodes());
                case Action.StopAttempt stop -> jobs.remove(stop.attempt());
                case Action.ForgetAttempt forget -> jobs.remove(forget.attempt());
                case Action.Evaluate evaluate ->
                    evaluations.add(new Observed.Evaluation(
                            evaluate.wanted().name(), evaluate.wanted().step(), false, List.of()));
                case Action.Expire ignored -> {}
            }
        }
        last.facts().ifPresent(facts -> status(StatusReport.of(subject, facts, now)));
        return subject.status();
    }

    /** A Job as it was just made: with a queue it waits. */
    private AttemptJob made(FrozenJob job) {
        var workers = subject.work().workers(job.stage());
        return new AttemptJob(
                job.attempt(),
                "emoji-pretrain-" + job.attempt(),
                workers.queue() == null ? AttemptJob.State.Active : AttemptJob.State.Suspended,
                "",
                now,
                Optional.empty(),
                Optional.empty(),
                job.nodes(),
                Elastic.partly(workers, job.nodes()),
                Optional.ofNullable(job.stage()),
                digest);
    }

    /** A queue lets an attempt go with so many pods, or takes them back. */
    World queue(int attempt, AttemptJob.State state, int nodes) {
        var old = jobs.get(attempt);
        jobs.put(
                attempt,
                new AttemptJob(
                        attempt,
                        old.name(),
                        state,
                        "",
                        old.createdAt(),
                        Optional.empty(),
                        Optional.empty(),
                        nodes,
                        old.partly(),
                        old.stage(),
                        digest));
        return this;
    }

    void status(RunStatus status) {
        subject = Fixtures.with(subject, status);
    }

    World after(long seconds) {
        now = now.plusSeconds(seconds);
        return this;
    }

    /** The Job's end, with what its pods left. */
    World ends(int attempt, AttemptJob.State state, WorkerPod... left) {
        var old = jobs.get(attempt);
        jobs.put(
                attempt,
                new AttemptJob(
                        attempt,
                        old.name(),
                        state,
                        "",
                        old.createdAt(),
                        Optional.of(now),
                        Optional.empty(),
                        old.nodes(),
                        old.partly(),
                        old.stage(),
                        digest));
        pods.removeIf(pod -> pod.attempt() == attempt);
        pods.addAll(List.of(left));
        return this;
    }

    World runs(int attempt) {
        pods.removeIf(pod -> pod.attempt() == attempt);
        for (int i = 0; i < jobs.get(attempt).nodes(); i++) {
            pods.add(Fixtures.running(attempt, i));
        }
        return this;
    }

    World reports(ProgressReport body) {
        return reports(body, null);
    }

    /** @param told the newest checkpoint, as a replica that does not lead writes it; null from one that does */
    World reports(ProgressReport body, Checkpoint told) {
        report = Optional.of(new Observed.Report(body, now));
        var s = subject.status();
        status(new RunStatus(
                s.phase(),
                s.observedGeneration(),
                s.startedAt(),
                s.finishedAt(),
                Optional.of(new Progress(
                        body.attempt(),
                        body.step(),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        now.toString(),
                        null,
                        told,
                        body.stage())),
                s.checkpoints(),
                s.results(),
                s.attempts(),
                s.restarts(),
                s.export(),
                s.dataset(),
                s.source(),
                s.conditions()));
        return this;
    }

    /** Edits the spec as a person would. */
    World edit(String from, String to, String yaml) {
        subject = Fixtures.with(subject, subject.generation() + 1, yaml.replace(from, to), subject.status());
        return this;
    }

    List<Integer> started() {
        return last.actions().stream()
                .filter(Action.StartAttempt.class::isInstance)
                .map(action -> ((Action.StartAttempt) action).job().attempt())
                .toList();
    }
}
