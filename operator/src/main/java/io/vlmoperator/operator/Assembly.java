package io.vlmoperator.operator;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.operator.engine.Controllers;
import io.vlmoperator.operator.engine.Engine;
import io.vlmoperator.operator.engine.Neighbours;
import io.vlmoperator.operator.engine.News;
import io.vlmoperator.operator.engine.Reports;
import io.vlmoperator.operator.engine.StatusWriter;
import io.vlmoperator.operator.engine.Subjects;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Pins;
import io.vlmoperator.operator.progress.ProgressService;
import io.vlmoperator.operator.progress.ProgressWriter;
import io.vlmoperator.operator.progress.TokenReviews;
import io.vlmoperator.operator.workload.JobBackend;
import io.vlmoperator.operator.workload.WorkloadSettings;
import java.time.Clock;
import java.util.Collection;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** The parts of a running operator, wired by hand: the same in the container and in tests. */
public final class Assembly implements AutoCloseable {
    private final Neighbours neighbours;
    private final JobBackend backend;
    private final Controllers controllers;
    private final ProgressService progress;
    private final ProgressWriter writer;
    private volatile boolean leads = true;
    private volatile boolean started;

    /** @param authority the certificates that workers trust, PEM */
    public Assembly(KubernetesClient client, Settings settings, Supplier<String> authority, Clock clock) {
        var news = new News();
        var reports = new Reports();
        var statuses = new StatusWriter(client, settings.instance(), clock);
        neighbours = new Neighbours(client, settings.namespaces(), news);
        backend = new JobBackend(client, new WorkloadSettings(settings.image(), settings.progressUrl()), authority);
        writer = new ProgressWriter(ProgressWriter.to(statuses), clock, () -> leads);
        var engine = new Engine(client, backend, neighbours, reports, statuses, writer::flush, clock);
        controllers = new Controllers(engine, news);
        progress = new ProgressService(
                new ClusterDirectory(neighbours),
                new TokenReviews(client, clock),
                reports,
                (Subject subject, ProgressReport report, boolean isNews) -> {
                    writer.offer(subject, report, clock.instant());
                    if (isNews) {
                        news.about(subject.kind(), subject.namespace(), subject.name());
                    }
                },
                clock);
    }

    /** Whether the reconcilers of this replica work; they do unless somebody says otherwise. */
    public void leads(boolean now) {
        leads = now;
    }

    boolean leads() {
        return leads;
    }

    /** Whether the caches are filled. */
    boolean started() {
        return started;
    }

    /** Fills the caches; to be called before the controllers start. */
    public void start() {
        neighbours.start();
        writer.start();
        started = true;
    }

    @Override
    public void close() {
        writer.close();
        neighbours.close();
    }

    public Controllers controllers() {
        return controllers;
    }

    public Neighbours neighbours() {
        return neighbours;
    }

    public ProgressService progress() {
        return progress;
    }

    JobBackend backend() {
        return backend;
    }

    private record ClusterDirectory(Neighbours neighbours) implements ProgressService.Directory {
        @Override
        public Optional<Subject> find(Kind kind, String namespace, String name) {
            return neighbours.find(kind, namespace, name);
        }

        @Override
        public Collection<Pins.Neighbour> neighbours(String namespace) {
            Stream<HasMetadata> all =
                    Stream.of(Kind.SFTJob, Kind.EvalJob).flatMap(kind -> neighbours.list(kind, namespace).stream());
            return all.map(Subjects::of)
                    .map(subject -> new Pins.Neighbour(subject.work(), subject.status()))
                    .toList();
        }
    }
}
