package io.vlmoperator.operator.workload;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectWriter;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.PodTemplateSpecBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceBuilder;
import io.fabric8.kubernetes.api.model.Toleration;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.vlmoperator.api.resource.Api;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.status.StatusCodec;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The objects of one attempt, as {@code contracts.md} (Pods) has them: an immutable ConfigMap with the frozen job, an Indexed Job whose
 * pods are never replaced one by one, and for more than one pod a headless Service.
 */
public final class AttemptModel {
    public static final String CA_CONFIG_MAP = "vlm-operator-ca";
    /** Key of the ConfigMap for the places that the frozen job itself does not name. */
    public static final String LOCATIONS = "locations.json";

    private static final String JOB_FOLDER = "/etc/vlm-operator/job";
    private static final String CA_FOLDER = "/etc/vlm-operator/ca";
    private static final String TOKEN_FOLDER = "/var/run/secrets/vlm-operator";
    private static final long TOKEN_SECONDS = 3600;
    /** Lets a trainer that is not root write to fresh volumes. */
    private static final long GROUP = 65532;

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
        return subject.work().workers();
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

    /** Empty for one pod: a Service costs the cluster more requests than all the rest. */
    public Optional<Service> service() {
        if (job.nodes() == 1) {
            return Optional.empty();
        }
        var selector = new TreeMap<>(Labels.of(job));
        selector.keySet().retainAll(List.of(Labels.KIND, Labels.NAME, Labels.UID));
        var labels = new TreeMap<>(Labels.of(job));
        labels.remove(Labels.ATTEMPT);
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
                .addToAnnotations(Labels.RETRY_DIGEST, retryDigest)
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
                .withTemplate(template())
                .endSpec()
                .build();
    }

    private PodTemplateSpec template() {
        var spec = new PodTemplateSpecBuilder()
                .withNewMetadata()
                .withLabels(Labels.of(job))
                .endMetadata()
                .withNewSpec()
                .withRestartPolicy("Never")
                .withAutomountServiceAccountToken(false)
                .withEnableServiceLinks(false)
                .withTerminationGracePeriodSeconds(
                        subject.work().failure().gracePeriodSeconds().longValue())
                .withSubdomain(job.nodes() == 1 ? null : subject.childPrefix())
                .withNodeSelector(
                        workers().nodeSelector().isEmpty()
                                ? null
                                : new TreeMap<>(workers().nodeSelector()))
                .withTolerations(tolerations())
                .withNewSecurityContext()
                .withRunAsNonRoot(true)
                .withFsGroup(GROUP)
                .withFsGroupChangePolicy("OnRootMismatch")
                .withNewSeccompProfile()
                .withType("RuntimeDefault")
                .endSeccompProfile()
                .endSecurityContext()
                .addNewContainer()
                .withName(Labels.CONTAINER)
                .withImage(settings.image())
                .withArgs("worker")
                .withEnv(env())
                .withTerminationMessagePath(PodEnvironment.DEFAULT_TERMINATION_LOG)
                .withTerminationMessagePolicy("File")
                .withNewSecurityContext()
                .withAllowPrivilegeEscalation(false)
                .withNewCapabilities()
                .withDrop("ALL")
                .endCapabilities()
                .endSecurityContext()
                .withNewResources()
                .withRequests(quantities(workers().resources().requests(), Map.of()))
                .withLimits(quantities(workers().resources().limits(), devices()))
                .endResources()
                .withVolumeMounts(mounts())
                .endContainer()
                .withVolumes(volumes());
        var network = workers().network();
        if (network != null && network.hostNetwork()) {
            spec.withHostNetwork(true).withDnsPolicy("ClusterFirstWithHostNet");
        }
        var secret = subject.work().output().secretRef();
        if (secret != null) {
            spec.editContainer(0)
                    .addNewEnvFrom()
                    .withNewSecretRef()
                    .withName(secret)
                    .endSecretRef()
                    .endEnvFrom()
                    .endContainer();
        }
        return spec.endSpec().build();
    }

    private List<EnvVar> env() {
        var env = new ArrayList<EnvVar>();
        workers().env().forEach(own -> env.add(value(own.name(), own.value())));
        var network = workers().network();
        if (network != null && network.interfaceName() != null) {
            env.add(value("NCCL_SOCKET_IFNAME", network.interfaceName()));
        }
        // After the user's: a later entry of the same name wins.
        env.add(value(PodEnvironment.JOB_FILE, JOB_FOLDER + "/" + FrozenJob.FILE));
        env.add(value(PodEnvironment.MOUNT_ROOT, PodEnvironment.DEFAULT_MOUNT_ROOT));
        env.add(value(PodEnvironment.TERMINATION_LOG, PodEnvironment.DEFAULT_TERMINATION_LOG));
        if (job.nodes() > 1) {
            env.add(value(
                    PodEnvironment.RENDEZVOUS,
                    name() + "-0." + subject.childPrefix() + "." + subject.namespace() + ".svc:"
                            + PodEnvironment.RENDEZVOUS_PORT));
        }
        env.add(value(
                PodEnvironment.PROGRESS_URL,
                settings.progressUrl() + "/v1/progress/" + subject.namespace() + "/"
                        + subject.kind().plural() + "/" + subject.name()));
        env.add(value(PodEnvironment.PROGRESS_CA, CA_FOLDER + "/ca.crt"));
        env.add(value(PodEnvironment.PROGRESS_TOKEN, TOKEN_FOLDER + "/token"));
        env.add(value(
                PodEnvironment.GRACE_SECONDS,
                subject.work().failure().gracePeriodSeconds().toString()));
        if (workers().resources().limits().containsKey("cpu")) {
            env.add(new EnvVarBuilder()
                    .withName(PodEnvironment.CPUS)
                    .withNewValueFrom()
                    .withNewResourceFieldRef()
                    .withContainerName(Labels.CONTAINER)
                    .withResource("limits.cpu")
                    .endResourceFieldRef()
                    .endValueFrom()
                    .build());
        }
        env.add(new EnvVarBuilder()
                .withName(PodEnvironment.NODE_NAME)
                .withNewValueFrom()
                .withNewFieldRef()
                .withFieldPath("spec.nodeName")
                .endFieldRef()
                .endValueFrom()
                .build());
        return env;
    }

    private static EnvVar value(String name, String value) {
        return new EnvVarBuilder().withName(name).withValue(value).build();
    }

    private List<Volume> volumes() {
        var volumes = new ArrayList<Volume>();
        volumes.add(new VolumeBuilder()
                .withName("job")
                .withNewConfigMap()
                .withName(name())
                .endConfigMap()
                .build());
        volumes.add(new VolumeBuilder()
                .withName("ca")
                .withNewConfigMap()
                .withName(CA_CONFIG_MAP)
                .endConfigMap()
                .build());
        volumes.add(new VolumeBuilder()
                .withName("token")
                .withNewProjected()
                .addNewSource()
                .withNewServiceAccountToken()
                .withAudience(audience(subject.namespace(), subject.kind().plural(), subject.name(), subject.uid()))
                .withExpirationSeconds(TOKEN_SECONDS)
                .withPath("token")
                .endServiceAccountToken()
                .endSource()
                .endProjected()
                .build());
        if (workers().sharedMemory() != null) {
            volumes.add(new VolumeBuilder()
                    .withName("shared-memory")
                    .withNewEmptyDir()
                    .withMedium("Memory")
                    .withSizeLimit(new Quantity(workers().sharedMemory()))
                    .endEmptyDir()
                    .build());
        }
        var claims = claims();
        int number = 0;
        for (var claim : claims.keySet()) {
            volumes.add(new VolumeBuilder()
                    .withName("claim-" + number++)
                    .withNewPersistentVolumeClaim()
                    .withClaimName(claim)
                    .endPersistentVolumeClaim()
                    .build());
        }
        return volumes;
    }

    private List<VolumeMount> mounts() {
        var mounts = new ArrayList<VolumeMount>();
        mounts.add(mount("job", JOB_FOLDER, true));
        mounts.add(mount("ca", CA_FOLDER, true));
        mounts.add(mount("token", TOKEN_FOLDER, true));
        if (workers().sharedMemory() != null) {
            mounts.add(mount("shared-memory", "/dev/shm", false));
        }
        int number = 0;
        for (var claim : claims().entrySet()) {
            var path = PodEnvironment.DEFAULT_MOUNT_ROOT + "/" + claim.getKey();
            mounts.add(mount("claim-" + number++, path, claim.getValue()));
        }
        return mounts;
    }

    private Map<String, Boolean> claims() {
        return Volumes.claims(job, subject.work().output().location(), locations);
    }

    private static VolumeMount mount(String volume, String path, boolean readOnly) {
        return new VolumeMountBuilder()
                .withName(volume)
                .withMountPath(path)
                .withReadOnly(readOnly ? Boolean.TRUE : null)
                .build();
    }

    private Map<String, String> devices() {
        var devices = new TreeMap<String, String>();
        if (workers().gpusPerNode() > 0) {
            devices.put(workers().gpuResource(), workers().gpusPerNode().toString());
        }
        var network = workers().network();
        if (network != null && network.rdmaResource() != null) {
            devices.put(network.rdmaResource(), "1");
        }
        return devices;
    }

    private static Map<String, Quantity> quantities(Map<String, String> own, Map<String, String> more) {
        var all = new TreeMap<>(own);
        all.putAll(more);
        var quantities = new TreeMap<String, Quantity>();
        all.forEach((name, value) -> quantities.put(name, new Quantity(value)));
        return quantities.isEmpty() ? null : quantities;
    }

    private List<Toleration> tolerations() {
        return workers().tolerations().stream()
                .map(t -> new Toleration(t.effect(), t.key(), t.operator(), t.tolerationSeconds(), t.value()))
                .toList();
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
