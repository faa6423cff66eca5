package io.vlmoperator.operator.workload;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectWriter;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Elastic;
import io.vlmoperator.operator.status.StatusCodec;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The objects of one attempt, as {@code contracts.md} (Pods) has them: an immutable ConfigMap with the frozen job, an Indexed Job whose
 * pods are never replaced one by one, and for more than one pod a headless Service and a Secret that they know each other by.
 */
public final class AttemptModel {
    public static final String CA_CONFIG_MAP = "vlm-operator-ca";
    /** Key of the ConfigMap for the places that the frozen job itself does not name. */
    public static final String LOCATIONS = "locations.json";

    /** Key of the peers' Secret. */
    static final String PEER_KEY = "secret";

    private static final ObjectWriter PRETTY = StatusCodec.json().writerWithDefaultPrettyPrinter();

    private final Subject subject;
    private final FrozenJob job;
    private final List<String> locations;
    private final String retryDigest;
    private final WorkloadSettings settings;

    public AttemptModel(
            Subject subject, FrozenJob job, List<String> locations, String retryDigest, WorkloadSettings settings) {
        this.subject = subject;
        this.job = job;
        this.locations = List.copyOf(locations);
        this.retryDigest = retryDigest;
        this.settings = settings;
    }

    private String name() {
        return subject.attemptName(job.attempt());
    }

    private Workers workers() {
        return subject.work().workers(job.stage());
    }

    /** Token audience: the one resource. */
    public static String audience(String namespace, String plural, String name, String uid) {
        return Api.GROUP + "/" + namespace + "/" + plural + "/" + name + "/" + uid;
    }

    public ConfigMap configMap() {
        try {
            return new ConfigMapBuilder()
                    .withNewMetadata()
                    .withName(name())
                    .withNamespace(subject.namespace())
                    .withLabels(Labels.of(job))
                    .withOwnerReferences(owner(subject))
                    .endMetadata()
                    .withImmutable(true)
                    .addToData(FrozenJob.FILE, PRETTY.writeValueAsString(job) + "\n")
                    .addToData(LOCATIONS, StatusCodec.json().writeValueAsString(locations))
                    .build();
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("A frozen job that is no JSON", e);
        }
    }

    /** Name of the ConfigMap that tells the workers how many a queue has admitted, and its only key. */
    static String nodesName(Subject subject, int attempt) {
        return subject.attemptName(attempt) + "-nodes";
    }

    static final String NODES = "nodes";

    /** How many workers of an attempt a queue has admitted. */
    static ConfigMap nodes(Subject subject, int attempt, int nodes) {
        return new ConfigMapBuilder()
                .withNewMetadata()
                .withName(nodesName(subject, attempt))
                .withNamespace(subject.namespace())
                .withLabels(Labels.of(subject, attempt))
                .withOwnerReferences(owner(subject))
                .endMetadata()
                .withImmutable(true)
                .addToData(NODES, Integer.toString(nodes))
                .build();
    }

    /**
     * What the attempt's workers know each other by; empty for one pod. Its name holds the resource's uid, so one that is there already is of
     * this very attempt: the operator may create Secrets, but not read them.
     *
     * @param owner the attempt's ConfigMap as the cluster has it, with which it goes
     * @param text 64 hexadecimal digits
     */
    public Optional<Secret> peers(ConfigMap owner, String text) {
        if (job.nodes() == 1) {
            return Optional.empty();
        }
        return Optional.of(new SecretBuilder()
                .withNewMetadata()
                .withName(peersName(subject, job.attempt()))
                .withNamespace(subject.namespace())
                .withLabels(Labels.of(job))
                .addNewOwnerReference()
                .withApiVersion("v1")
                .withKind("ConfigMap")
                .withName(owner.getMetadata().getName())
                .withUid(owner.getMetadata().getUid())
                .endOwnerReference()
                .endMetadata()
                .withImmutable(true)
                .withType("Opaque")
                .addToStringData(PEER_KEY, text)
                .build());
    }

    static String peersName(Subject subject, int attempt) {
        return subject.attemptName(attempt) + "-peers-"
                + subject.uid().substring(0, Math.min(8, subject.uid().length()));
    }

    /** Empty for one pod: a Service costs the cluster more requests than all the rest. */
    public Optional<Service> service() {
        if (job.nodes() == 1) {
            return Optional.empty();
        }
        var selector = new TreeMap<>(Labels.of(job));
        selector.keySet().retainAll(List.of(Labels.KIND, Labels.NAME, Labels.UID));
        var labels = new TreeMap<>(Labels.of(job));
        labels.keySet().removeAll(List.of(Labels.ATTEMPT, Labels.STAGE));
        return Optional.of(new ServiceBuilder()
                .withNewMetadata()
                .withName(subject.childPrefix())
                .withNamespace(subject.namespace())
                .withLabels(labels)
                .withOwnerReferences(owner(subject))
                .endMetadata()
                .withNewSpec()
                .withClusterIP("None")
                .withPublishNotReadyAddresses(true)
                .withSelector(selector)
                .addNewPort()
                .withName("rendezvous")
                .withPort(PodEnvironment.RENDEZVOUS_PORT)
                .withNewTargetPort(PodEnvironment.RENDEZVOUS_PORT)
                .endPort()
                .endSpec()
                .build());
    }

    public Job job() {
        var labels = new TreeMap<>(Labels.of(job));
        boolean queued = workers().queue() != null;
        if (queued) {
            labels.put("kueue.x-k8s.io/queue-name", workers().queue().name());
            if (workers().queue().priorityClass() != null) {
                labels.put("kueue.x-k8s.io/priority-class", workers().queue().priorityClass());
            }
        }
        return new JobBuilder()
                .withNewMetadata()
                .withName(name())
                .withNamespace(subject.namespace())
                .withLabels(labels)
                .addToAnnotations(annotations())
                .withOwnerReferences(owner(subject))
                .endMetadata()
                .withNewSpec()
                .withCompletionMode("Indexed")
                .withCompletions(job.nodes())
                .withParallelism(job.nodes())
                .withBackoffLimit(0)
                // The queue lifts it; nothing here touches it again.
                .withSuspend(queued ? Boolean.TRUE : null)
                .withNewPodFailurePolicy()
                .addNewRule()
                .withAction("FailJob")
                .addNewOnPodCondition()
                .withType("DisruptionTarget")
                .withStatus("True")
                .endOnPodCondition()
                .endRule()
                .addNewRule()
                .withAction("FailJob")
                .withNewOnExitCodes()
                .withContainerName(Labels.CONTAINER)
                .withOperator("NotIn")
                .withValues(0)
                .endOnExitCodes()
                .endRule()
                .endPodFailurePolicy()
                .withTemplate(new PodModel(subject, job, locations, settings).template())
                .endSpec()
                .build();
    }

    private Map<String, String> annotations() {
        var annotations = new TreeMap<String, String>();
        annotations.put(Labels.RETRY_DIGEST, retryDigest);
        if (Elastic.partly(workers(), job.nodes())) {
            annotations.put(Labels.KUEUE_MIN_PARALLELISM, workers().minNodes().toString());
            annotations.put(Labels.KUEUE_COMPLETIONS_TOO, "true");
        }
        return annotations;
    }

    /** Every child is owned by its resource: garbage collection is the only clean-up there is. */
    public static OwnerReference owner(Subject subject) {
        return new OwnerReferenceBuilder()
                .withApiVersion(Api.GROUP + "/" + Api.VERSION)
                .withKind(subject.kind().name())
                .withName(subject.name())
                .withUid(subject.uid())
                .withController(true)
                .withBlockOwnerDeletion(true)
                .build();
    }
}
