package io.vlmoperator.operator.workload;

import static io.vlmoperator.operator.Fixtures.DATASET;
import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.STAGED;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.plan.Action;
import io.vlmoperator.operator.plan.Planner;
import io.vlmoperator.operator.status.StatusCodec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The objects of an attempt against checked-in files. After an intended change: run with {@code -Dvlm.golden.write=true} and read the
 * difference.
 */
class AttemptModelTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");
    private static final WorkloadSettings SETTINGS =
            new WorkloadSettings("registry.example/trainer:1", "https://vlm-operator.vlm-system.svc:8443");

    static final String GPUS =
            PRETRAIN.replace("workers: {nodes: 2}", """
            workers:
                nodes: 4
                minNodes: 2
                gpusPerNode: 8
                sharedMemory: 8Gi
                resources: {requests: {cpu: "16", memory: 200Gi}, limits: {cpu: "32", memory: 200Gi}}
                env: [{name: NCCL_DEBUG, value: WARN}]
                nodeSelector: {pool: h200}
                tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
                network: {rdmaResource: rdma/hca, hostNetwork: true, interfaceName: ib0}
                queue: {kind: Kueue, name: research, priorityClass: high}
            """.strip().indent(2).strip());

    static final String ONE_NODE = PRETRAIN.replace("nodes: 2", "gpusPerNode: 8");

    /** After its index is complete. */
    static final String STAGED_SCORE = STAGED + """
            status:
              startedAt: "2026-01-01T00:00:00Z"
              attempts: [{number: 1, stage: index, startedAt: "2026-01-01T00:00:00Z", endedAt: "2026-01-01T01:00:00Z", reason: Completed, world: 8}]
            """;

    private static AttemptModel model(String yaml) {
        var subject = subject(yaml);
        var references = yaml.contains("kind: Dataset")
                ? Resolution.Ready.NOTHING
                : new Resolution.Ready(
                        List.of(new FrozenJob.ResolvedDataset("captions", "pvc://data/packed", 1, "sha256:d")),
                        Optional.empty(),
                        List.of("pvc://tars/emoji/*.tar"));
        var plan = Planner.decide(
                subject,
                new Observed(
                        Instant.EPOCH,
                        Instant.EPOCH,
                        List.of(),
                        List.of(),
                        Optional.empty(),
                        references,
                        List.of(),
                        Optional.empty()),
                "digest");
        var start = (Action.StartAttempt) plan.actions().getFirst();
        return new AttemptModel(subject, start.job(), start.locations(), "digest", SETTINGS);
    }

    private static String yaml(String name) {
        return switch (name) {
            case "dataset-1-pod" -> DATASET;
            case "dataset-index" -> STAGED;
            case "dataset-score-2x4-gpus" -> STAGED_SCORE;
            case "pretrain-2-pods" -> PRETRAIN;
            case "pretrain-1x8-gpus" -> ONE_NODE;
            case "pretrain-4x8-gpus" -> GPUS;
            default -> throw new IllegalArgumentException(name);
        };
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "dataset-1-pod",
                "dataset-index",
                "dataset-score-2x4-gpus",
                "pretrain-2-pods",
                "pretrain-1x8-gpus",
                "pretrain-4x8-gpus"
            })
    void theObjectsOfAnAttempt(String name) throws IOException {
        var model = model(yaml(name));
        var text = new StringBuilder(Serialization.asYaml(model.configMap()));
        var stored = model.configMap()
                .edit()
                .editMetadata()
                .withUid("uid-of-the-map")
                .endMetadata()
                .build();
        model.peers(stored, "00".repeat(32)).ifPresent(secret -> text.append(Serialization.asYaml(secret)));
        model.service().ifPresent(service -> text.append(Serialization.asYaml(service)));
        text.append(Serialization.asYaml(model.job()));
        var file = GOLDEN.resolve(name + ".yaml");
        if (Boolean.getBoolean("vlm.golden.write")) {
            Files.writeString(file, text);
        }
        assertThat(text.toString()).as(file.toString()).isEqualTo(Files.readString(file));
    }

    @Test
    void onePodNeedsNoServiceAndNoRendezvous() {
        var model = model(DATASET);
        assertThat(model.service()).isEmpty();
        assertThat(model.peers(model.configMap(), "")).isEmpty();
        assertThat(model.job()
                        .getSpec()
                        .getTemplate()
                        .getSpec()
                        .getContainers()
                        .getFirst()
                        .getEnv())
                .extracting(env -> env.getName())
                .doesNotContain("VLM_RENDEZVOUS", "VLM_PEER_SECRET");
    }

    @Test
    void theFrozenJobReadsBackAsItWas() throws IOException {
        var data = model(PRETRAIN).configMap().getData().get(FrozenJob.FILE);
        var read = StatusCodec.json().readValue(data, FrozenJob.class);
        assertThat(read.pretrain())
                .isEqualTo(((io.vlmoperator.operator.model.Work.PretrainWork)
                                subject(PRETRAIN).work())
                        .spec());
        assertThat(read.attempt()).isEqualTo(1);
        assertThat(read.nodes()).isEqualTo(2);
        assertThat(read.datasets()).hasSize(1);
    }

    @Test
    void everyClaimIsMountedOnceAndOnlyTheWrittenOneForWriting() {
        var mounts = model(PRETRAIN.replace("pvc://runs/emoji", "pvc://data/runs"))
                .job()
                .getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .getVolumeMounts()
                .stream()
                .filter(mount -> mount.getMountPath().startsWith("/mnt/"))
                .toList();
        assertThat(mounts).extracting(VolumeMount::getMountPath).containsExactly("/mnt/data", "/mnt/tars");
        assertThat(mounts).extracting(VolumeMount::getReadOnly).containsExactly(null, true);
    }

    @Test
    void processesOfOnePodShareMemoryEvenWhenNobodyAsks() {
        var pod = model(ONE_NODE).job().getSpec().getTemplate().getSpec();
        assertThat(pod.getVolumes())
                .filteredOn(volume -> volume.getName().equals("shared-memory"))
                .singleElement()
                .satisfies(volume ->
                        assertThat(volume.getEmptyDir().getSizeLimit()).isEqualTo(new Quantity("1Gi")));
        assertThat(model(PRETRAIN).job().getSpec().getTemplate().getSpec().getVolumes())
                .extracting(Volume::getName)
                .doesNotContain("shared-memory");
    }

    @Test
    void aQueueThatMayAdmitFewerIsToldSoAndTheWorkersWaitForItsNumber() {
        var model = model(GPUS);
        assertThat(model.job().getMetadata().getAnnotations())
                .containsEntry("kueue.x-k8s.io/job-min-parallelism", "2")
                .containsEntry("kueue.x-k8s.io/job-completions-equal-parallelism", "true");
        var told = AttemptModel.nodes(subject(GPUS), 1, 3);
        assertThat(told.getData()).containsEntry("nodes", "3");
        assertThat(env(model, "VLM_NODES").getValueFrom().getConfigMapKeyRef())
                .satisfies(ref ->
                        assertThat(ref.getName()).isEqualTo(told.getMetadata().getName()))
                .satisfies(ref -> assertThat(ref.getKey()).isEqualTo("nodes"))
                .satisfies(ref -> assertThat(ref.getOptional()).isNull());
        var all = model(GPUS.replace("minNodes: 2", "minNodes: 4"));
        assertThat(all.job().getMetadata().getAnnotations()).containsOnlyKeys("vlm-operator.io/retry-digest");
        assertThat(env(all, "VLM_NODES")).isNull();
    }

    @Test
    void exactGpusFindOneAlgorithmInTheirEnvironment() {
        var exact = GPUS.replace("spec:", "spec:\n  determinism: Exact");
        PodEnvironment.EXACT.forEach((name, value) -> {
            assertThat(env(model(exact), name).getValue()).isEqualTo(value);
            assertThat(env(model(GPUS), name)).isNull();
            assertThat(env(model(PRETRAIN.replace("spec:", "spec:\n  determinism: Exact")), name))
                    .isNull();
        });
        var own = model(exact.replace("env: [", "env: [{name: NCCL_ALGO, value: Tree}, "));
        assertThat(own.job()
                        .getSpec()
                        .getTemplate()
                        .getSpec()
                        .getContainers()
                        .getFirst()
                        .getEnv())
                .filteredOn(variable -> variable.getName().equals("NCCL_ALGO"))
                .singleElement()
                .satisfies(variable -> assertThat(variable.getValue()).isEqualTo("Tree"));
    }

    private static EnvVar env(AttemptModel model, String name) {
        return model.job().getSpec().getTemplate().getSpec().getContainers().getFirst().getEnv().stream()
                .filter(variable -> variable.getName().equals(name))
                .findFirst()
                .orElse(null);
    }

    @Test
    void aSecretBecomesTheEnvironment() {
        var job = model(PRETRAIN.replace("\"pvc://runs/emoji\"", "\"s3://bucket/run\", secretRef: s3-credentials"))
                .job();
        var container = job.getSpec().getTemplate().getSpec().getContainers().getFirst();
        assertThat(container.getEnvFrom().getFirst().getSecretRef().getName()).isEqualTo("s3-credentials");
    }

    @Test
    void objectStorageNeedsAFolderForCopies() {
        var pod = model(PRETRAIN.replace("pvc://runs/emoji", "s3://bucket/run"))
                .job()
                .getSpec()
                .getTemplate()
                .getSpec();
        assertThat(pod.getVolumes()).anyMatch(v -> v.getName().equals("cache") && v.getEmptyDir() != null);
        assertThat(pod.getContainers().getFirst().getVolumeMounts())
                .anyMatch(m -> m.getName().equals("cache") && m.getMountPath().equals("/cache"));
        assertThat(pod.getContainers().getFirst().getEnv())
                .anyMatch(e -> e.getName().equals("VLM_CACHE") && e.getValue().equals("/cache"));
        assertThat(model(PRETRAIN).job().getSpec().getTemplate().getSpec().getVolumes())
                .noneMatch(v -> v.getName().equals("cache"));
    }

    @Test
    void whatIsFetchedToIsMountedForWriting() {
        var dataset = DATASET.replace(
                "sources:",
                "fetch: [{to: \"pvc://tars/emoji\", folder: {location: \"s3://bucket/emoji\"}}]\n  sources:");
        var mounts = model(dataset)
                .job()
                .getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .getVolumeMounts();
        assertThat(mounts)
                .filteredOn(mount -> mount.getMountPath().equals("/mnt/tars"))
                .singleElement()
                .extracting(VolumeMount::getReadOnly)
                .isNull();
    }
}
