package io.vlmoperator.operator.engine;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.fabric8.kubernetes.client.informers.cache.Cache;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.References;
import io.vlmoperator.operator.policy.References.Ref;
import io.vlmoperator.operator.workload.Labels;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * All resources of the four kinds, cached on every replica: for references, pins and the page. A change of one wakes those that refer
 * to it.
 */
public final class Neighbours implements AutoCloseable {
    private final Map<Kind, List<SharedIndexInformer<? extends HasMetadata>>> informers = new EnumMap<>(Kind.class);
    private final News news;

    /** @param namespaces watched; empty: all */
    public Neighbours(KubernetesClient client, Set<String> namespaces, News news) {
        this.news = news;
        watch(client, namespaces, Kind.Dataset, Dataset.class);
        watch(client, namespaces, Kind.PretrainJob, PretrainJob.class);
        watch(client, namespaces, Kind.SFTJob, SFTJob.class);
        watch(client, namespaces, Kind.EvalJob, EvalJob.class);
    }

    private <T extends HasMetadata> void watch(
            KubernetesClient client, Set<String> namespaces, Kind kind, Class<T> type) {
        var resources = client.resources(type);
        var list = namespaces.isEmpty()
                ? Stream.of(resources.inAnyNamespace().runnableInformer(0))
                : namespaces.stream().map(ns -> resources.inNamespace(ns).runnableInformer(0));
        informers.put(
                kind,
                list.map(informer -> informer.addEventHandler(new Wake<T>()))
                        .<SharedIndexInformer<? extends HasMetadata>>map(informer -> informer)
                        .toList());
    }

    /** Starts watching and waits for the first list. */
    public void start() {
        try {
            for (var group : informers.values()) {
                for (var informer : group) {
                    informer.start().toCompletableFuture().get(2, TimeUnit.MINUTES);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted while listing resources", e);
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            throw new IllegalStateException(
                    "Can't list the resources of vlm-operator.io: are the CRDs installed and may this account list them?",
                    e);
        }
    }

    @Override
    public void close() {
        informers.values().forEach(group -> group.forEach(SharedIndexInformer::stop));
    }

    public Optional<Subject> find(Kind kind, String namespace, String name) {
        var key = Cache.namespaceKeyFunc(namespace, name);
        return informers.get(kind).stream()
                .map(informer -> (HasMetadata) informer.getIndexer().getByKey(key))
                .filter(resource -> resource != null && resource.getMetadata().getDeletionTimestamp() == null)
                .findFirst()
                .map(Subjects::of);
    }

    /** All of a kind in a namespace. */
    public List<HasMetadata> list(Kind kind, String namespace) {
        var all = new ArrayList<HasMetadata>();
        for (var informer : informers.get(kind)) {
            all.addAll(informer.getIndexer().byIndex(Cache.NAMESPACE_INDEX, namespace));
        }
        return all;
    }

    /** All of a kind. */
    public List<HasMetadata> list(Kind kind) {
        var all = new ArrayList<HasMetadata>();
        informers.get(kind).forEach(informer -> all.addAll(informer.getIndexer().list()));
        return all;
    }

    References.Lookup lookup(String namespace) {
        return (kind, name) -> find(kind, namespace, name)
                .map(subject -> new References.Referred(
                        subject.work() instanceof io.vlmoperator.operator.model.Work.DatasetWork dataset
                                ? Optional.of(dataset.spec())
                                : Optional.empty(),
                        subject.status()));
    }

    /** Wakes what refers to a resource that changed in a way that matters to others. */
    private final class Wake<T extends HasMetadata> implements ResourceEventHandler<T> {
        @Override
        public void onAdd(T resource) {
            wake(resource);
        }

        @Override
        public void onUpdate(T old, T resource) {
            if (told(resource).isPresent() && !told(resource).equals(told(old))) {
                // A replica that does not lead was told of a checkpoint.
                var changed = Subjects.of(resource);
                news.about(changed.kind(), changed.namespace(), changed.name());
            }
            if (!outward(Subjects.of(old).status())
                    .equals(outward(Subjects.of(resource).status()))) {
                wake(resource);
            }
        }

        @Override
        public void onDelete(T resource, boolean unknown) {
            wake(resource);
        }

        private Optional<Checkpoint> told(T resource) {
            return Subjects.of(resource).status().progress().map(Progress::checkpoint);
        }

        private List<Object> outward(RunStatus s) {
            return List.of(s.phase(), s.checkpoints(), s.results(), s.dataset());
        }

        private void wake(T resource) {
            var changed = Subjects.of(resource);
            var ref = new Ref(changed.kind(), changed.name());
            for (Kind kind : List.of(Kind.PretrainJob, Kind.SFTJob, Kind.EvalJob)) {
                for (var other : list(kind, changed.namespace())) {
                    var subject = Subjects.of(other);
                    if (!subject.status().finished()
                            && References.of(subject.work()).contains(ref)) {
                        news.about(kind, subject.namespace(), subject.name());
                    }
                }
            }
            // A job that begins or ends changes who uses its Datasets.
            References.of(changed.work()).stream()
                    .filter(used -> used.kind() == Kind.Dataset)
                    .forEach(used -> news.about(Kind.Dataset, changed.namespace(), used.name()));
            if (changed.kind() == Kind.EvalJob) {
                parent(resource).ifPresent(p -> news.about(p.kind(), changed.namespace(), p.name()));
            }
        }
    }

    /** The training job that an EvalJob was made for. */
    private static Optional<Ref> parent(HasMetadata evaluation) {
        var labels = Translate.labels(evaluation);
        return Stream.of(Kind.PretrainJob, Kind.SFTJob)
                .filter(kind -> kind.shortName().equals(labels.get(Labels.KIND)))
                .filter(kind -> labels.get(Labels.STEP) != null)
                .findFirst()
                .map(kind -> new Ref(kind, labels.get(Labels.NAME)));
    }
}
