package io.vlmoperator.operator.workload;

import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.AffinityBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.PodTemplateSpecBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Toleration;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.spec.Determinism;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.Elastic;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The pod of a worker: one a node, its environment, the claims of the job mounted once each (read-only, but for the one that holds the
 * output), and what NCCL needs of a node.
 */
final class PodModel {
    private static final String JOB_FOLDER = "/etc/vlm-operator/job";
    private static final String CA_FOLDER = "/etc/vlm-operator/ca";
    private static final String TOKEN_FOLDER = "/var/run/secrets/vlm-operator";
    private static final long TOKEN_SECONDS = 3600;
    /** Lets a trainer that is not root write to fresh volumes. */
    private static final long GROUP = 65532;

    /** NCCL passes data between the processes of a pod through shared memory; a container has 64 MiB of it by default. */
    private static final String LEAST_SHARED_MEMORY = "1Gi";

    private static final int STRONGEST = 100;

    private final Subject subject;
    private final FrozenJob job;
    private final List<String> locations;
    private final WorkloadSettings settings;

    PodModel(Subject subject, FrozenJob job, List<String> locations, WorkloadSettings settings) {
        this.subject = subject;
        this.job = job;
        this.locations = locations;
        this.settings = settings;
    }

    private Workers workers() {
        return subject.work().workers(job.stage());
    }

    PodTemplateSpec template() {
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
        if (job.nodes() > 1 && subject.kind() != Kind.Dataset) {
            spec.withAffinity(sameZone());
        }
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

    /** Neighbours in the ring are ranks in a row, so all workers of an attempt go into one zone where that can be. */
    private Affinity sameZone() {
        return new AffinityBuilder()
                .withNewPodAffinity()
                .addNewPreferredDuringSchedulingIgnoredDuringExecution()
                .withWeight(STRONGEST)
                .withNewPodAffinityTerm()
                .withTopologyKey("topology.kubernetes.io/zone")
                .withNewLabelSelector()
                .withMatchLabels(new TreeMap<>(Map.of(
                        Labels.UID, job.uid(), Labels.ATTEMPT, job.attempt().toString())))
                .endLabelSelector()
                .endPodAffinityTerm()
                .endPreferredDuringSchedulingIgnoredDuringExecution()
                .endPodAffinity()
                .build();
    }

    private List<EnvVar> env() {
        var env = new ArrayList<EnvVar>();
        if (exactOnGpus()) {
            // Whoever knows better may choose another algorithm; the trainer refuses what is not exact.
            new TreeMap<>(PodEnvironment.EXACT).forEach((name, value) -> {
                if (workers().env().stream().noneMatch(own -> own.name().equals(name))) {
                    env.add(value(name, value));
                }
            });
        }
        workers().env().forEach(own -> env.add(value(own.name(), own.value())));
        var network = workers().network();
        if (network != null && network.interfaceName() != null) {
            env.add(value("NCCL_SOCKET_IFNAME", network.interfaceName()));
        }
        // After the user's: a later entry of the same name wins.
        env.add(value(PodEnvironment.JOB_FILE, JOB_FOLDER + "/" + FrozenJob.FILE));
        env.add(value(PodEnvironment.MOUNT_ROOT, PodEnvironment.DEFAULT_MOUNT_ROOT));
        if (Volumes.hasObjects(job)) {
            env.add(value(PodEnvironment.CACHE, PodEnvironment.DEFAULT_CACHE));
        }
        env.add(value(PodEnvironment.TERMINATION_LOG, PodEnvironment.DEFAULT_TERMINATION_LOG));
        if (job.nodes() > 1) {
            env.add(value(
                    PodEnvironment.RENDEZVOUS,
                    subject.attemptName(job.attempt()) + "-0." + subject.childPrefix() + "." + subject.namespace()
                            + ".svc:" + PodEnvironment.RENDEZVOUS_PORT));
            env.add(new EnvVarBuilder()
                    .withName(PodEnvironment.PEER_SECRET)
                    .withNewValueFrom()
                    .withNewSecretKeyRef()
                    .withName(AttemptModel.peersName(subject, job.attempt()))
                    .withKey(AttemptModel.PEER_KEY)
                    .endSecretKeyRef()
                    .endValueFrom()
                    .build());
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
        if (Elastic.partly(workers(), job.nodes())) {
            // The container waits until the ConfigMap is there: it is made when the queue has admitted the Job.
            env.add(new EnvVarBuilder()
                    .withName(PodEnvironment.NODES)
                    .withNewValueFrom()
                    .withNewConfigMapKeyRef(AttemptModel.NODES, AttemptModel.nodesName(subject, job.attempt()), null)
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

    private boolean exactOnGpus() {
        TrainingSpec training = job.pretrain() != null ? job.pretrain() : job.sft();
        return training != null
                && training.determinism() == Determinism.Exact
                && workers().gpusPerNode() > 0;
    }

    private static EnvVar value(String name, String value) {
        return new EnvVarBuilder().withName(name).withValue(value).build();
    }

    private List<Volume> volumes() {
        var volumes = new ArrayList<Volume>();
        volumes.add(new VolumeBuilder()
                .withName("job")
                .withNewConfigMap()
                .withName(subject.attemptName(job.attempt()))
                .endConfigMap()
                .build());
        volumes.add(new VolumeBuilder()
                .withName("ca")
                .withNewConfigMap()
                .withName(AttemptModel.CA_CONFIG_MAP)
                .endConfigMap()
                .build());
        volumes.add(new VolumeBuilder()
                .withName("token")
                .withNewProjected()
                .addNewSource()
                .withNewServiceAccountToken()
                .withAudience(AttemptModel.audience(
                        subject.namespace(), subject.kind().plural(), subject.name(), subject.uid()))
                .withExpirationSeconds(TOKEN_SECONDS)
                .withPath("token")
                .endServiceAccountToken()
                .endSource()
                .endProjected()
                .build());
        sharedMemory()
                .ifPresent(size -> volumes.add(new VolumeBuilder()
                        .withName("shared-memory")
                        .withNewEmptyDir()
                        .withMedium("Memory")
                        .withSizeLimit(new Quantity(size))
                        .endEmptyDir()
                        .build()));
        if (Volumes.hasObjects(job)) {
            volumes.add(new VolumeBuilder()
                    .withName("cache")
                    .withNewEmptyDir()
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

    private Optional<String> sharedMemory() {
        return Optional.ofNullable(workers().sharedMemory())
                .or(() -> workers().gpusPerNode() > 1 ? Optional.of(LEAST_SHARED_MEMORY) : Optional.empty());
    }

    private List<VolumeMount> mounts() {
        var mounts = new ArrayList<VolumeMount>();
        mounts.add(mount("job", JOB_FOLDER, true));
        mounts.add(mount("ca", CA_FOLDER, true));
        mounts.add(mount("token", TOKEN_FOLDER, true));
        sharedMemory().ifPresent(size -> mounts.add(mount("shared-memory", "/dev/shm", false)));
        if (Volumes.hasObjects(job)) {
            mounts.add(mount("cache", PodEnvironment.DEFAULT_CACHE, false));
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
}
