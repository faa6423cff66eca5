package io.vlmoperator.operator.workload;

import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.operator.model.Subject;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** One Indexed Job an attempt. Creates if absent; "already exists" is success when the owner is ours. */
public final class JobBackend implements WorkloadBackend {
    private static final int CONFLICT = 409;
    private static final int SECRET_BYTES = 32;

    private final KubernetesClient client;
    private final WorkloadSettings settings;
    private final Supplier<String> authority;
    /** Namespace to the authority that its ConfigMap holds, as far as this process knows. */
    private final Map<String, String> published = new ConcurrentHashMap<>();

    /** @param authority the certificates that workers trust, in PEM */
    public JobBackend(KubernetesClient client, WorkloadSettings settings, Supplier<String> authority) {
        this.client = client;
        this.settings = settings;
        this.authority = authority;
    }

    @Override
    public void start(Subject subject, FrozenJob job, List<String> locations, String retryDigest) {
        var model = new AttemptModel(subject, job, locations, retryDigest, settings);
        publishAuthority(subject.namespace());
        var frozen = create(subject, model.configMap());
        model.peers(frozen, newSecret()).ifPresent(this::createSecret);
        model.service().ifPresent(service -> create(subject, service));
        create(subject, model.job());
    }

    @Override
    public void tellNodes(Subject subject, int attempt, int nodes) {
        create(subject, AttemptModel.nodes(subject, attempt, nodes));
    }

    private static String newSecret() {
        var bytes = new byte[SECRET_BYTES];
        new SecureRandom().nextBytes(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    /** One that is there stays: its name is of this attempt alone, and workers may hold it already. */
    private void createSecret(Secret secret) {
        try {
            client.resource(secret).create();
        } catch (KubernetesClientException e) {
            if (e.getCode() != CONFLICT) {
                throw e;
            }
        }
    }

    private <T extends HasMetadata> T create(Subject subject, T wanted) {
        try {
            return client.resource(wanted).create();
        } catch (KubernetesClientException e) {
            if (e.getCode() != CONFLICT) {
                throw e;
            }
            var there = client.resource(wanted).get();
            boolean ours = there != null
                    && there.getMetadata().getDeletionTimestamp() == null
                    && there.getMetadata().getOwnerReferences().stream()
                            .anyMatch(owner -> owner.getUid().equals(subject.uid()));
            if (!ours) {
                throw new NameTakenException(
                        wanted.getKind() + " " + wanted.getMetadata().getName()
                                + " belongs to something else or is being deleted; delete it or rename the resource");
            }
            return there;
        }
    }

    /** Writes the authority's certificates again where they are known to be older. */
    public void refreshAuthority() {
        var pem = authority.get();
        for (var namespace : Set.copyOf(published.keySet())) {
            if (!pem.equals(published.get(namespace))) {
                publishAuthority(namespace);
            }
        }
    }

    private void publishAuthority(String namespace) {
        var pem = authority.get();
        client.resource(new ConfigMapBuilder()
                        .withNewMetadata()
                        .withName(AttemptModel.CA_CONFIG_MAP)
                        .withNamespace(namespace)
                        .addToLabels("app.kubernetes.io/managed-by", "vlm-operator")
                        .endMetadata()
                        .addToData("ca.crt", pem)
                        .build())
                .patch(new PatchContext.Builder()
                        .withPatchType(PatchType.SERVER_SIDE_APPLY)
                        .withFieldManager("vlm-operator")
                        .withForce(true)
                        .build());
        published.put(namespace, pem);
    }

    @Override
    public void stop(Subject subject, int attempt) {
        client.batch()
                .v1()
                .jobs()
                .inNamespace(subject.namespace())
                .withName(subject.attemptName(attempt))
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();
    }

    @Override
    public void forget(Subject subject, int attempt) {
        stop(subject, attempt);
        for (var name : List.of(subject.attemptName(attempt), AttemptModel.nodesName(subject, attempt))) {
            client.configMaps().inNamespace(subject.namespace()).withName(name).delete();
        }
    }
}
