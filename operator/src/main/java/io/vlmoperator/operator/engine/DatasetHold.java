package io.vlmoperator.operator.engine;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Holds;
import io.vlmoperator.operator.policy.References.Ref;
import io.vlmoperator.operator.status.StatusReport;
import java.time.Clock;
import java.util.List;
import java.util.stream.Stream;

/** Puts the finalizer on a Dataset that jobs use, takes it away when none does, and says whom a deletion waits for. */
final class DatasetHold {
    /** On Datasets in use only: all others can be deleted when no operator runs. */
    static final String FINALIZER = "vlm-operator.io/in-use";

    /** Owns the finalizer and nothing else. */
    private static final String MANAGER = "vlm-operator-hold";

    private final KubernetesClient client;
    private final Neighbours neighbours;
    private final StatusWriter statuses;
    private final Clock clock;

    DatasetHold(KubernetesClient client, Neighbours neighbours, StatusWriter statuses, Clock clock) {
        this.client = client;
        this.neighbours = neighbours;
        this.statuses = statuses;
        this.clock = clock;
    }

    void look(Dataset dataset) {
        var cached = Subjects.of(dataset);
        var subject = statuses.newest(cached, dataset.getMetadata().getResourceVersion());
        Stream<HasMetadata> jobs = Stream.of(Kind.PretrainJob, Kind.SFTJob)
                .flatMap(kind -> neighbours.list(kind, subject.namespace()).stream());
        var users = Holds.users(
                new Ref(Kind.Dataset, subject.name()), jobs.map(Subjects::of).toList());
        boolean held = dataset.getFinalizers().contains(FINALIZER);
        if (subject.deleting() && held && !users.isEmpty()) {
            statuses.write(subject, StatusReport.held(subject, Holds.message(users), clock.instant()));
        }
        switch (Holds.decide(users, held, subject.deleting())) {
            case Add -> apply(subject, List.of(FINALIZER));
            case Remove -> apply(subject, List.of());
            case Leave -> {}
        }
    }

    private void apply(Subject subject, List<String> finalizers) {
        var resource = new GenericKubernetesResource();
        resource.setApiVersion(Api.GROUP + "/" + Api.VERSION);
        resource.setKind(subject.kind().name());
        // The uid keeps it from a later Dataset of the same name.
        resource.setMetadata(new ObjectMetaBuilder()
                .withName(subject.name())
                .withNamespace(subject.namespace())
                .withUid(subject.uid())
                .withFinalizers(finalizers)
                .build());
        try {
            client.resource(resource)
                    .patch(new PatchContext.Builder()
                            .withPatchType(PatchType.SERVER_SIDE_APPLY)
                            .withFieldManager(MANAGER)
                            .withForce(true)
                            .build());
        } catch (KubernetesClientException e) {
            // Gone, or just being deleted: then it is looked at again.
            if (e.getCode() != 404 && e.getCode() != 409 && e.getCode() != 422) {
                throw e;
            }
        }
    }
}
