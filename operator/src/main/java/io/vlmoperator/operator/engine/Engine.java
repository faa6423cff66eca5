package io.vlmoperator.operator.engine;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.model.AttemptJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.model.WorkerPod;
import io.vlmoperator.operator.plan.Action;
import io.vlmoperator.operator.plan.Plan;
import io.vlmoperator.operator.plan.Planner;
import io.vlmoperator.operator.policy.Evaluation;
import io.vlmoperator.operator.policy.Reason;
import io.vlmoperator.operator.policy.References;
import io.vlmoperator.operator.policy.Validity;
import io.vlmoperator.operator.status.Notices.Notice;
import io.vlmoperator.operator.status.StatusCodec;
import io.vlmoperator.operator.status.StatusReport;
import io.vlmoperator.operator.workload.AttemptModel;
import io.vlmoperator.operator.workload.Labels;
import io.vlmoperator.operator.workload.NameTakenException;
import io.vlmoperator.operator.workload.Volumes;
import io.vlmoperator.operator.workload.WorkloadBackend;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/** One pass over one resource, the same for all kinds: observe, decide, act, report. */
public final class Engine {
    private static final Logger LOG = Logger.getLogger(Engine.class);
    /** Claims are not watched: so often a missing one is looked for. */
    private static final Duration LOOK_FOR_CLAIMS = Duration.ofSeconds(15);

    private static final Duration AFTER_REFUSAL = Duration.ofSeconds(10);
    private static final Duration SHORTEST_WAIT = Duration.ofMillis(200);

    private final KubernetesClient client;
    private final WorkloadBackend backend;
    private final Neighbours neighbours;
    private final Reports reports;
    private final StatusWriter statuses;
    private final DatasetHold hold;
    private final Consumer<String> attemptEnded;
    private final Clock clock;
    private final Instant start;

    /** @param attemptEnded told the uid of a resource whose attempt has ended */
    public Engine(
            KubernetesClient client,
            WorkloadBackend backend,
            Neighbours neighbours,
            Reports reports,
            StatusWriter statuses,
            Consumer<String> attemptEnded,
            Clock clock) {
        this.client = client;
        this.backend = backend;
        this.neighbours = neighbours;
        this.reports = reports;
        this.statuses = statuses;
        this.hold = new DatasetHold(client, neighbours, statuses, clock);
        this.attemptEnded = attemptEnded;
        this.clock = clock;
        this.start = clock.instant();
    }

    /** Holds a Dataset that jobs use back from deletion. */
    void hold(Dataset dataset) {
        hold.look(dataset);
    }

    /**
     * @param cached the resource as the cache has it
     * @param resourceVersion of it
     * @param jobs that carry its labels
     * @param pods that carry its labels
     * @return when to look again
     */
    public Optional<Duration> reconcile(
            Subject cached, String resourceVersion, Collection<Job> jobs, Collection<Pod> pods) {
        var subject = told(statuses.newest(cached, resourceVersion));
        var observed = observe(subject, jobs, pods);
        var digest = retryDigest(subject.work());
        var plan = Planner.decide(subject, observed, digest);
        Optional<Resolution.Blocked> refusal = claimTrouble(subject, plan);
        if (refusal.isEmpty()) {
            refusal = act(subject, plan, digest);
        }
        Optional<Duration> sooner = Optional.empty();
        if (refusal.isPresent()) {
            // Decided again without the attempt that could not be started.
            plan = Planner.decide(subject, blocked(observed, refusal.get()), digest);
            sooner = Optional.of(refusal.get().reason() == Reason.RequestFailed ? AFTER_REFUSAL : LOOK_FOR_CLAIMS);
        }
        var now = observed.now();
        plan.facts().ifPresent(facts -> {
            var status = StatusReport.of(subject, facts, now);
            boolean wrote = statuses.write(subject, status);
            if (wrote
                    && status.lastAttempt()
                            .filter(last -> last.endedAt() != null)
                            .isPresent()) {
                attemptEnded.accept(subject.uid());
            }
        });
        var again = plan.again().map(at -> Duration.between(clock.instant(), at));
        return sooner.or(() -> again).map(wait -> wait.compareTo(SHORTEST_WAIT) < 0 ? SHORTEST_WAIT : wait);
    }

    /**
     * A checkpoint that another replica was told of wakes this one by the neighbours' cache, and status changes wake it by no other: so it
     * is read there, where the reconciler's own cache may not have it yet.
     */
    private Subject told(Subject subject) {
        return neighbours
                .find(subject.kind(), subject.namespace(), subject.name())
                .filter(seen -> seen.uid().equals(subject.uid()) && toldStep(seen) > toldStep(subject))
                .map(seen -> Subjects.withStatus(subject, StatusWriter.withProgress(subject.status(), seen.status())))
                .orElse(subject);
    }

    private static long toldStep(Subject subject) {
        return subject.status()
                .progress()
                .map(Progress::checkpoint)
                .map(Checkpoint::step)
                .orElse(-1L);
    }

    private Observed observe(Subject subject, Collection<Job> jobs, Collection<Pod> pods) {
        var own = new ArrayList<AttemptJob>(jobs.stream()
                .filter(job -> owned(job, subject))
                .map(Translate::job)
                .toList());
        // A Job that was just made may be missing in the cache; whether it is gone only the server knows.
        subject.status()
                .lastAttempt()
                .filter(last -> last.endedAt() == null && !subject.status().finished())
                .filter(last -> own.stream().noneMatch(job -> job.attempt() == last.number()))
                .flatMap(last -> job(subject, last.number()))
                .ifPresent(own::add);
        List<WorkerPod> workers = pods.stream()
                .filter(pod -> subject.uid().equals(Translate.labels(pod).get(Labels.UID)))
                .map(Translate::pod)
                .toList();
        var frozen = frozen(subject);
        return new Observed(
                clock.instant(),
                start,
                own,
                workers,
                reports.of(subject.uid()),
                references(subject, frozen),
                evaluations(subject),
                frozen.map(Frozen::retryDigest));
    }

    private Optional<AttemptJob> job(Subject subject, int attempt) {
        var job = client.batch()
                .v1()
                .jobs()
                .inNamespace(subject.namespace())
                .withName(subject.attemptName(attempt))
                .get();
        return Optional.ofNullable(job).filter(found -> owned(found, subject)).map(Translate::job);
    }

    private static boolean owned(Job job, Subject subject) {
        return job.getMetadata().getOwnerReferences().stream()
                .anyMatch(owner -> subject.uid().equals(owner.getUid()));
    }

    /** What the last attempt was made with, as its ConfigMap keeps it. */
    private record Frozen(Resolution.Ready references, String retryDigest) {}

    /** Read between attempts only, and when a finished resource was edited. */
    private Optional<Frozen> frozen(Subject subject) {
        var status = subject.status();
        boolean between =
                status.lastAttempt().filter(last -> last.endedAt() != null).isPresent()
                        && !(status.finished() && status.observedGeneration() == subject.generation());
        if (!between) {
            return Optional.empty();
        }
        var name = subject.attemptName(status.attempts().getLast().number());
        return Optional.ofNullable(client.configMaps()
                        .inNamespace(subject.namespace())
                        .withName(name)
                        .get())
                .flatMap(map -> frozen(subject, map));
    }

    /** What the first attempt was made with holds for all later ones, also when a Dataset was deleted meanwhile. */
    private Resolution references(Subject subject, Optional<Frozen> frozen) {
        if (frozen.isPresent()) {
            return frozen.get().references();
        }
        return Validity.check(subject.work())
                .<Resolution>map(blocked -> blocked)
                .orElseGet(() -> References.resolve(subject.work(), neighbours.lookup(subject.namespace())));
    }

    private static Optional<Frozen> frozen(Subject subject, ConfigMap map) {
        try {
            var job = StatusCodec.json().readValue(map.getData().get(FrozenJob.FILE), FrozenJob.class);
            var locations = StatusCodec.json()
                    .readValue(
                            map.getData().getOrDefault(AttemptModel.LOCATIONS, "[]"),
                            new TypeReference<List<String>>() {});
            return subject.uid().equals(job.uid())
                    ? Optional.of(new Frozen(
                            new Resolution.Ready(job.datasets(), Optional.ofNullable(job.checkpoint()), locations),
                            retryDigest(work(job))))
                    : Optional.empty();
        } catch (JsonProcessingException | IllegalArgumentException e) {
            LOG.warnf(
                    "ConfigMap %s/%s is no frozen job: %s",
                    subject.namespace(), map.getMetadata().getName(), e.getMessage());
            return Optional.empty();
        }
    }

    private static Work work(FrozenJob job) {
        if (job.dataset() != null) {
            return new Work.DatasetWork(job.dataset());
        }
        if (job.pretrain() != null) {
            return new Work.PretrainWork(job.pretrain());
        }
        if (job.sft() != null) {
            return new Work.SftWork(job.sft());
        }
        if (job.eval() != null) {
            return new Work.EvalWork(job.eval());
        }
        throw new IllegalArgumentException("it holds none of the four specs");
    }

    private List<Observed.Evaluation> evaluations(Subject subject) {
        if (subject.work().evaluate().isEmpty()) {
            return List.of();
        }
        return neighbours.list(Kind.EvalJob, subject.namespace()).stream()
                .filter(child -> subject.uid().equals(Translate.labels(child).get(Labels.UID))
                        && Translate.labels(child).containsKey(Labels.STEP))
                .map(child -> {
                    var it = Subjects.of(child);
                    long step = Long.parseLong(Translate.labels(child).get(Labels.STEP));
                    return new Observed.Evaluation(
                            it.name(), step, it.status().finished(), it.status().results());
                })
                .toList();
    }

    private static Observed blocked(Observed o, Resolution.Blocked blocked) {
        return new Observed(
                o.now(), o.operatorStart(), o.jobs(), o.pods(), o.report(), blocked, o.evaluations(), o.frozenDigest());
    }

    /** Claims are read once, just before an attempt starts. */
    private Optional<Resolution.Blocked> claimTrouble(Subject subject, Plan plan) {
        for (Action action : plan.actions()) {
            if (action instanceof Action.StartAttempt start) {
                var output = subject.work().output().location();
                for (var name :
                        Volumes.claims(start.job(), output, start.locations()).keySet()) {
                    var claim = client.persistentVolumeClaims()
                            .inNamespace(subject.namespace())
                            .withName(name)
                            .get();
                    if (claim == null) {
                        return Optional.of(new Resolution.Blocked(
                                Reason.ReferenceNotFound,
                                "PersistentVolumeClaim " + name + " does not exist in this namespace; create it",
                                false));
                    }
                    var modes = claim.getSpec().getAccessModes();
                    if (start.job().nodes() > 1
                            && !modes.contains("ReadWriteMany")
                            && !modes.contains("ReadOnlyMany")) {
                        return Optional.of(new Resolution.Blocked(
                                Reason.VolumeNotShareable,
                                "PersistentVolumeClaim " + name + " is " + String.join(", ", modes)
                                        + " and can't be mounted by "
                                        + start.job().nodes()
                                        + " nodes; use a ReadWriteMany claim or one node",
                                true));
                    }
                }
            }
        }
        return Optional.empty();
    }

    /** Carries the plan out; what the server refuses becomes a condition and is tried again. */
    private Optional<Resolution.Blocked> act(Subject subject, Plan plan, String digest) {
        for (Action action : plan.actions()) {
            switch (action) {
                case Action.StartAttempt start -> {
                    try {
                        backend.start(subject, start.job(), start.locations(), digest);
                    } catch (NameTakenException e) {
                        return Optional.of(new Resolution.Blocked(Reason.ChildNameTaken, e.getMessage(), false));
                    } catch (KubernetesClientException e) {
                        LOG.warnf(e, "Attempt %d of %s/%s", start.job().attempt(), subject.namespace(), subject.name());
                        return Optional.of(
                                new Resolution.Blocked(Reason.RequestFailed, String.valueOf(e.getMessage()), false));
                    }
                }
                case Action.TellNodes tell -> backend.tellNodes(subject, tell.attempt(), tell.nodes());
                case Action.StopAttempt stop -> backend.stop(subject, stop.attempt());
                case Action.ForgetAttempt forget -> backend.forget(subject, forget.attempt());
                case Action.Evaluate evaluate -> evaluate(subject, evaluate.wanted());
                case Action.Expire ignored -> expire(subject);
            }
        }
        return Optional.empty();
    }

    private void evaluate(Subject subject, Evaluation.Wanted wanted) {
        var child = new GenericKubernetesResource();
        child.setApiVersion(Api.GROUP + "/" + Api.VERSION);
        child.setKind(Kind.EvalJob.name());
        child.setMetadata(new ObjectMetaBuilder()
                .withName(wanted.name())
                .withNamespace(subject.namespace())
                .withLabels(Labels.ofEvaluation(subject, wanted.step()))
                .withOwnerReferences(AttemptModel.owner(subject))
                .build());
        child.setAdditionalProperty("spec", StatusCodec.json().convertValue(wanted.spec(), Map.class));
        try {
            client.resource(child).create();
        } catch (KubernetesClientException e) {
            if (e.getCode() != 409) {
                throw e;
            }
        }
    }

    private void expire(Subject subject) {
        statuses.event(subject, new Notice(Reason.Expired, "Deleted: ttlSecondsAfterFinished is over", false));
        for (var resource : neighbours.list(subject.kind(), subject.namespace())) {
            if (subject.uid().equals(resource.getMetadata().getUid())) {
                client.resource(resource).delete();
            }
        }
        reports.forget(subject.uid());
    }

    /** The pods of stages only where there are stages: that the digest of all others changed would start what has failed. */
    private static List<Object> edited(Work work) {
        return work instanceof Work.DatasetWork dataset
                        && dataset.spec().workers().stages() != null
                ? List.of(dataset.spec().workers(), work.failure())
                : List.of(work.workers(), work.failure());
    }

    /** Changes when somebody edits what may help a failed resource: its workers or its budgets. */
    static String retryDigest(Work work) {
        try {
            var json = StatusCodec.json().writeValueAsString(edited(work));
            var hash = MessageDigest.getInstance("SHA-256").digest(json.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash, 0, 8);
        } catch (JsonProcessingException | NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
