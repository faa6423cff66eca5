package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaimBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ServiceAccountBuilder;
import io.fabric8.kubernetes.api.model.authentication.TokenRequestBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBindingBuilder;
import io.fabric8.kubernetes.api.model.rbac.RoleBuilder;
import io.fabric8.kubernetes.api.model.rbac.SubjectBuilder;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import io.vlmoperator.local.LocalCluster;
import io.vlmoperator.operator.status.StatusCodec;
import io.vlmoperator.operator.workload.AttemptModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/**
 * The operator against a real API server and its controllers, with the permissions of {@code src/docs/rbac.md} and nothing more. There
 * is no node: tests play the kubelet by patching the status of pods.
 */
class ClusterTest {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    @TempDir
    static Path folder;

    private static LocalCluster cluster;
    private static KubernetesClient admin;
    private static TestOperator operator;
    private static Optional<String> withoutCrds;
    private String namespace;

    @BeforeAll
    static void start() throws IOException {
        cluster = LocalCluster.start(folder);
        admin = cluster.newClient();
        withoutCrds = Prerequisites.missing(admin, Set.of());
        try (var crds = Files.list(Path.of("../crds/crds"))) {
            crds.filter(file -> file.toString().endsWith(".yaml"))
                    .forEach(file -> admin.load(in(file)).serverSideApply());
        }
        admin.resource(namespace("vlm-system")).create();
        admin.resource(new ServiceAccountBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .build())
                .create();
        var account = new SubjectBuilder()
                .withKind("ServiceAccount")
                .withName("vlm-operator")
                .withNamespace("vlm-system")
                .build();
        admin.resource(new ClusterRoleBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .endMetadata()
                        .withRules(Permissions.cluster())
                        .build())
                .create();
        admin.resource(new ClusterRoleBindingBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "ClusterRole", "vlm-operator")
                        .withSubjects(account)
                        .build())
                .create();
        admin.resource(new RoleBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .withRules(Permissions.own())
                        .build())
                .create();
        admin.resource(new RoleBindingBuilder()
                        .withNewMetadata()
                        .withName("vlm-operator")
                        .withNamespace("vlm-system")
                        .endMetadata()
                        .withNewRoleRef("rbac.authorization.k8s.io", "Role", "vlm-operator")
                        .withSubjects(account)
                        .build())
                .create();
        eventually(
                "the CRDs are served",
                () -> admin.resources(PretrainJob.class).inAnyNamespace().list() != null);
        operator = new TestOperator(admin.getConfiguration(), token("vlm-system", "vlm-operator", null, null));
    }

    @AfterAll
    static void stop() {
        if (operator != null) {
            operator.close();
        }
        if (admin != null) {
            admin.close();
        }
        if (cluster != null) {
            cluster.close();
        }
    }

    @BeforeEach
    void freshNamespace(TestInfo test) {
        namespace = test.getTestMethod().orElseThrow().getName().toLowerCase(java.util.Locale.ROOT);
        admin.resource(namespace(namespace)).create();
        for (String claim : List.of("data", "runs", "tars")) {
            admin.resource(new PersistentVolumeClaimBuilder()
                            .withNewMetadata()
                            .withName(claim)
                            .withNamespace(namespace)
                            .endMetadata()
                            .withNewSpec()
                            .withAccessModes("ReadWriteMany")
                            .withNewResources()
                            .addToRequests("storage", new Quantity("1Gi"))
                            .endResources()
                            .endSpec()
                            .build())
                    .create();
        }
    }

    private static HasMetadata namespace(String name) {
        return new NamespaceBuilder()
                .withNewMetadata()
                .withName(name)
                .endMetadata()
                .build();
    }

    private static java.io.InputStream in(Path file) {
        try {
            return Files.newInputStream(file);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static String token(String namespace, String account, String audience, Pod pod) {
        var request = new TokenRequestBuilder().withNewSpec().withExpirationSeconds(3600L);
        if (audience != null) {
            request.withAudiences(audience);
        }
        if (pod != null) {
            request.withNewBoundObjectRef()
                    .withApiVersion("v1")
                    .withKind("Pod")
                    .withName(pod.getMetadata().getName())
                    .withUid(pod.getMetadata().getUid())
                    .endBoundObjectRef();
        }
        return admin.serviceAccounts()
                .inNamespace(namespace)
                .withName(account)
                .tokenRequest(request.endSpec().build())
                .getStatus()
                .getToken();
    }

    private static void eventually(String what, Supplier<Boolean> condition) {
        var until = Instant.now().plus(PATIENCE);
        RuntimeException last = null;
        while (Instant.now().isBefore(until)) {
            try {
                if (condition.get()) {
                    return;
                }
                last = null;
            } catch (RuntimeException e) {
                last = e;
            }
            sleep(50);
        }
        fail("After " + PATIENCE.toSeconds() + " s not yet: " + what, last);
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** A person's manifest of a fixture. */
    private String manifest(String fixture) {
        return fixture.replaceAll(
                "metadata: \\{name: ([a-z]+), .*\\}", "metadata: {name: $1, namespace: " + namespace + "}");
    }

    private void apply(String fixture) {
        admin.load(new java.io.ByteArrayInputStream(
                        manifest(fixture).getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                .serverSideApply();
    }

    /** As if its workers had made it. */
    private void completeDataset() {
        apply(Fixtures.DATASET);
        job("captions-dataset-1");
        succeed(
                "captions-dataset-1",
                "{\"reason\":\"Completed\",\"dataset\":{\"samples\":9,\"digest\":\"sha256:d\",\"tokenizerDigest\":\"sha256:t\"}}");
        eventually(
                "Dataset complete",
                () -> admin.resources(Dataset.class)
                                .inNamespace(namespace)
                                .withName("captions")
                                .get()
                                .getStatus()
                                .phase()
                        == Phase.Complete);
    }

    private Job job(String name) {
        eventually(
                "Job " + name,
                () -> admin.batch()
                                .v1()
                                .jobs()
                                .inNamespace(namespace)
                                .withName(name)
                                .get()
                        != null);
        return admin.batch().v1().jobs().inNamespace(namespace).withName(name).get();
    }

    private List<Pod> pods(String job) {
        return admin.pods()
                .inNamespace(namespace)
                .withLabel("job-name", job)
                .list()
                .getItems();
    }

    private List<Pod> waitForPods(String job, int count) {
        eventually(count + " pods of " + job, () -> pods(job).size() == count);
        return pods(job);
    }

    /** Plays the kubelet: the status of a pod. */
    private void kubelet(Pod pod, String phase, String reason, String containerState) {
        var container = containerState.isEmpty()
                ? ""
                : ",\"containerStatuses\":[{\"name\":\"trainer\",\"image\":\"i\",\"imageID\":\"\",\"ready\":false,\"restartCount\":0,\"state\":"
                        + containerState + "}]";
        var body = "{\"status\":{\"phase\":\"" + phase + "\""
                + (reason.isEmpty() ? "" : ",\"reason\":\"" + reason + "\"") + container + "}}";
        admin.pods()
                .inNamespace(namespace)
                .withName(pod.getMetadata().getName())
                .subresource("status")
                .patch(PatchContext.of(PatchType.STRATEGIC_MERGE), body);
    }

    private static String terminated(int code, String reason, String message) {
        var quoted = message.replace("\"", "\\\"");
        return "{\"terminated\":{\"exitCode\":" + code + ",\"reason\":\"" + reason + "\",\"message\":\"" + quoted
                + "\",\"startedAt\":\"2026-01-01T00:00:00Z\",\"finishedAt\":\"2026-01-01T00:01:00Z\"}}";
    }

    private void run(String job, int count) {
        for (Pod pod : waitForPods(job, count)) {
            kubelet(pod, "Running", "", "{\"running\":{\"startedAt\":\"2026-01-01T00:00:00Z\"}}");
        }
    }

    private void succeed(String job, String word) {
        int count = job(job).getSpec().getCompletions();
        for (Pod pod : waitForPods(job, count)) {
            kubelet(pod, "Succeeded", "", terminated(0, "Completed", word));
        }
    }

    private PretrainJob pretrain() {
        return admin.resources(PretrainJob.class)
                .inNamespace(namespace)
                .withName("emoji")
                .get();
    }

    private void eventuallyPhase(Phase phase) {
        eventually(
                "PretrainJob " + namespace + "/emoji is " + phase + ": "
                        + Optional.ofNullable(pretrain()).map(PretrainJob::getStatus),
                () -> pretrain().getStatus() != null && pretrain().getStatus().phase() == phase);
    }

    private Attempt attempt(int number) {
        return pretrain().getStatus().attempts().stream()
                .filter(a -> a.number() == number)
                .findFirst()
                .orElseThrow();
    }

    private long writesHere() {
        return operator.writes().stream()
                .filter(write -> write.contains("/" + namespace + "/"))
                .count();
    }

    @Test
    void aPretrainJobWaitsThenBecomesAJobAServiceAndAConfigMap() {
        apply(Fixtures.PRETRAIN);
        eventuallyPhase(Phase.Pending);
        assertThat(pretrain().getStatus().conditions())
                .filteredOn(c -> c.type().equals("Accepted"))
                .singleElement()
                .satisfies(c -> assertThat(c.reason()).isEqualTo("ReferenceNotFound"));
        completeDataset();
        eventuallyPhase(Phase.Starting);
        var job = job("emoji-pretrain-1");
        assertThat(job.getSpec().getCompletions()).isEqualTo(2);
        assertThat(admin.services()
                        .inNamespace(namespace)
                        .withName("emoji-pretrain")
                        .get()
                        .getSpec()
                        .getClusterIP())
                .isEqualTo("None");
        var map = admin.configMaps()
                .inNamespace(namespace)
                .withName("emoji-pretrain-1")
                .get();
        assertThat(map.getImmutable()).isTrue();
        assertThat(map.getData().get("job.json")).contains("sha256:d");
        assertThat(admin.configMaps()
                        .inNamespace(namespace)
                        .withName("vlm-operator-ca")
                        .get()
                        .getData())
                .containsEntry("ca.crt", "authority");
        eventually(
                "the scheduler's words are lifted into the conditions",
                () -> pretrain().getStatus().conditions().stream()
                        .anyMatch(c -> c.type().equals("Running") && c.reason().equals("Unschedulable")));
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        succeed("emoji-pretrain-1", "{\"reason\":\"Completed\",\"step\":10}");
        eventuallyPhase(Phase.Complete);
        // Events follow the status, they do not come with it.
        eventually(
                "events tell of the wait, the start and the end",
                () -> admin.events().v1().events().inNamespace(namespace).list().getItems().stream()
                        .filter(e -> e.getRegarding() != null
                                && "PretrainJob".equals(e.getRegarding().getKind()))
                        .map(e -> e.getReason())
                        .toList()
                        .containsAll(List.of("ReferenceNotFound", "AttemptStarted", "Completed")));
    }

    @Test
    void failedAttemptsAreFollowedByTheNext() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        kubelet(
                waitForPods("emoji-pretrain-1", 2).getFirst(),
                "Failed",
                "",
                terminated(70, "Error", "{\"reason\":\"InternalError\",\"message\":\"boom\",\"step\":7}"));
        job("emoji-pretrain-2");
        assertThat(attempt(1)).satisfies(a -> {
            assertThat(a.reason()).isEqualTo("InternalError");
            assertThat(a.message()).isEqualTo("boom");
            assertThat(a.failureClass()).isEqualTo("User");
            assertThat(a.lastStep()).isEqualTo(7);
        });
        kubelet(waitForPods("emoji-pretrain-2", 2).getLast(), "Failed", "", terminated(137, "OOMKilled", ""));
        job("emoji-pretrain-3");
        assertThat(attempt(2).failureClass()).isEqualTo("OutOfMemory");
        kubelet(waitForPods("emoji-pretrain-3", 2).getLast(), "Failed", "Evicted", "");
        job("emoji-pretrain-4");
        assertThat(attempt(3).reason()).isEqualTo("Evicted");
        assertThat(pretrain().getStatus().restarts().infrastructure()).isEqualTo(1);
        kubelet(
                waitForPods("emoji-pretrain-4", 2).getLast(),
                "Failed",
                "",
                terminated(64, "Error", "{\"reason\":\"InvalidConfiguration\",\"message\":\"wrong\"}"));
        eventuallyPhase(Phase.Failed);
        assertThat(pretrain().getStatus().attempts()).hasSize(4);
        eventually(
                "Jobs of old attempts are gone",
                () -> admin.batch()
                                .v1()
                                .jobs()
                                .inNamespace(namespace)
                                .withName("emoji-pretrain-1")
                                .get()
                        == null);
    }

    @Test
    void withoutNewsNothingIsWritten() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        sleep(1500);
        long before = writesHere();
        for (int i = 0; i < 10; i++) {
            var value = Integer.toString(i);
            admin.batch()
                    .v1()
                    .jobs()
                    .inNamespace(namespace)
                    .withName("emoji-pretrain-1")
                    .edit(job -> {
                        job.getMetadata().getAnnotations().put("touched", value);
                        return job;
                    });
            sleep(100);
        }
        sleep(500);
        assertThat(writesHere()).as(operator.writes().toString()).isEqualTo(before);
        assertThat(before)
                .as("writes for a Dataset and a PretrainJob up to Running: %s", operator.writes())
                .isLessThanOrEqualTo(24);
    }

    @Test
    void aSpecEditDuringAStatusWriteIsNotLost() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        int trials = Integer.getInteger("vlm.race.trials", 30);
        for (int trial = 0; trial < trials; trial++) {
            for (int edit = 0; edit < 3; edit++) {
                int restarts = 100 + trial * 3 + edit;
                admin.resources(PretrainJob.class)
                        .inNamespace(namespace)
                        .withName("emoji")
                        .patch(
                                PatchContext.of(PatchType.JSON_MERGE),
                                "{\"spec\":{\"failure\":{\"maxInfrastructureRestarts\":" + restarts + "}}}");
                sleep(trial * 3 % 9);
            }
            var until = Instant.now().plusSeconds(10);
            while (!pretrain()
                    .getMetadata()
                    .getGeneration()
                    .equals(pretrain().getStatus().observedGeneration())) {
                assertThat(Instant.now())
                        .as("trial %d: the last edit was never seen", trial)
                        .isBefore(until);
                sleep(20);
            }
        }
    }

    @Test
    void anOperatorThatRestartsMakesNothingTwice() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        operator.close();
        // Meanwhile an attempt fails: it must be found, counted once and followed by exactly one.
        kubelet(
                pods("emoji-pretrain-1").getFirst(),
                "Failed",
                "",
                terminated(66, "Error", "{\"reason\":\"StorageFailed\",\"message\":\"no\"}"));
        operator = new TestOperator(admin.getConfiguration(), token("vlm-system", "vlm-operator", null, null));
        job("emoji-pretrain-2");
        run("emoji-pretrain-2", 2);
        eventuallyPhase(Phase.Running);
        assertThat(pretrain().getStatus().attempts())
                .extracting(Attempt::number)
                .containsExactly(1, 2);
        assertThat(pretrain().getStatus().restarts().infrastructure()).isEqualTo(1);
        assertThat(admin.batch().v1().jobs().inNamespace(namespace).list().getItems())
                .extracting(j -> j.getMetadata().getName())
                .containsExactlyInAnyOrder("captions-dataset-1", "emoji-pretrain-1", "emoji-pretrain-2");
    }

    @Test
    void suspensionStopsTheWorkersAndResumesWithTheNextAttempt() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        apply(Fixtures.PRETRAIN.replace("spec:", "spec:\n  suspend: true"));
        eventuallyPhase(Phase.Suspended);
        eventually("its pods are gone", () -> pods("emoji-pretrain-1").isEmpty());
        apply(Fixtures.PRETRAIN.replace("spec:", "spec:\n  suspend: false"));
        job("emoji-pretrain-2");
        assertThat(pretrain().getStatus().restarts().total()).isZero();
    }

    @Test
    void reportsAreTakenFromTheWorkersOnly() throws Exception {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        var pods = waitForPods("emoji-pretrain-1", 2);
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        var resource = pretrain();
        var audience = AttemptModel.audience(
                namespace, "pretrainjobs", "emoji", resource.getMetadata().getUid());
        var token = token(namespace, "default", audience, pods.getFirst());
        var report = Fixtures.report(resource.getMetadata().getUid(), 1, 1, 150, Fixtures.checkpoint(100));
        assertThat(post(token, report)).isEqualTo(200);
        assertThat(post(token(namespace, "default", audience + "x", pods.getFirst()), report))
                .isEqualTo(401);
        assertThat(post(token(namespace, "default", null, null), report)).isEqualTo(401);
        eventually("progress and checkpoint stand in the status", () -> {
            var status = pretrain().getStatus();
            return status.progress() != null
                    && status.progress().step() == 150
                    && status.checkpoints() != null
                    && status.checkpoints().latest().step() == 100;
        });
        var managers = pretrain().getMetadata().getManagedFields().stream()
                .filter(entry -> "status".equals(entry.getSubresource()))
                .toList();
        assertThat(managers)
                .extracting(entry -> entry.getManager())
                .containsExactlyInAnyOrder("vlm-operator", "vlm-operator-progress");
        var fields = managers.stream()
                .filter(entry -> entry.getManager().equals("vlm-operator-progress"))
                .findFirst()
                .orElseThrow()
                .getFieldsV1()
                .getAdditionalProperties();
        assertThat(((java.util.Map<?, ?>) fields.get("f:status"))
                        .keySet().stream().map(String::valueOf))
                .containsExactly("f:progress");
    }

    @Test
    void aReportThatReachesAStandbyReachesTheStatus() throws Exception {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        var pods = waitForPods("emoji-pretrain-1", 2);
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        var uid = pretrain().getMetadata().getUid();
        var token = token(
                namespace, "default", AttemptModel.audience(namespace, "pretrainjobs", "emoji", uid), pods.getFirst());
        try (var standby = operator.standby()) {
            standby.leads(false);
            standby.start();
            assertThat(post(standby, token, Fixtures.report(uid, 1, 1, 150, Fixtures.checkpoint(100))))
                    .isEqualTo(200);
            eventually("the leader, which heard nothing, knows step and checkpoint", () -> {
                var status = pretrain().getStatus();
                return status.progress() != null
                        && status.progress().step() == 150
                        && status.checkpoints() != null
                        && status.checkpoints().latest().equals(Fixtures.checkpoint(100));
            });
        }
    }

    @Test
    void whatTheClusterLacksIsSaidBeforeTheStart() {
        assertThat(withoutCrds)
                .hasValueSatisfying(text -> assertThat(text)
                        .contains("CRD datasets.vlm-operator.io (v1alpha1) is not installed", "apply crds/crds"));
        assertThat(Prerequisites.missing(admin, Set.of())).isEmpty();
        assertThat(Prerequisites.missing(admin, Set.of(namespace))).isEmpty();
        var stranger = new ConfigBuilder(admin.getConfiguration())
                .withClientCertData(null)
                .withClientCertFile(null)
                .withClientKeyData(null)
                .withClientKeyFile(null)
                .withOauthToken(token(namespace, "default", null, null))
                .build();
        try (var client = new KubernetesClientBuilder().withConfig(stranger).build()) {
            assertThat(Prerequisites.missing(client, Set.of()))
                    .hasValueSatisfying(
                            text -> assertThat(text).contains("may not list datasets.vlm-operator.io", "rbac"));
        }
    }

    private int post(String token, ProgressReport report) throws Exception {
        return post(operator.assembly(), token, report);
    }

    private int post(Assembly replica, String token, ProgressReport report) throws Exception {
        return replica.progress()
                .report(
                        namespace,
                        "pretrainjobs",
                        "emoji",
                        Optional.of(token),
                        StatusCodec.json().writeValueAsBytes(report))
                .status();
    }

    @Test
    void claimsAreCheckedBeforeAnAttemptStarts() {
        completeDataset();
        admin.persistentVolumeClaims()
                .inNamespace(namespace)
                .withName("runs")
                .withGracePeriod(0)
                .delete();
        eventually(
                "claim gone",
                () -> admin.persistentVolumeClaims()
                                .inNamespace(namespace)
                                .withName("runs")
                                .get()
                        == null);
        apply(Fixtures.PRETRAIN);
        eventually(
                "the missing claim is named",
                () -> pretrain().getStatus() != null
                        && pretrain().getStatus().conditions().stream()
                                .anyMatch(c -> c.reason().equals("ReferenceNotFound")
                                        && c.message().contains("PersistentVolumeClaim runs")));
        assertThat(admin.batch()
                        .v1()
                        .jobs()
                        .inNamespace(namespace)
                        .withName("emoji-pretrain-1")
                        .get())
                .isNull();
    }
}
