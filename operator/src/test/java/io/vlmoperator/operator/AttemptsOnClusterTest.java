package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.api.status.Phase;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** From manifests to pods, and what follows when attempts fail. */
class AttemptsOnClusterTest extends ClusterCase {
    AttemptsOnClusterTest(ClusterStage stage) {
        super(stage);
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
    void anOperatorThatRestartsMakesNothingTwice() {
        completeDataset();
        apply(Fixtures.PRETRAIN);
        job("emoji-pretrain-1");
        run("emoji-pretrain-1", 2);
        eventuallyPhase(Phase.Running);
        stage.stopOperator();
        // Meanwhile an attempt fails: it must be found, counted once and followed by exactly one.
        kubelet(
                pods("emoji-pretrain-1").getFirst(),
                "Failed",
                "",
                terminated(66, "Error", "{\"reason\":\"StorageFailed\",\"message\":\"no\"}"));
        stage.restartOperator();
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

    @Test
    void whatTheClusterLacksIsSaidBeforeTheStart() {
        assertThat(stage.withoutCrds())
                .hasValueSatisfying(text -> assertThat(text)
                        .contains("CRD datasets.vlm-operator.io (v1alpha1) is not installed", "apply crds/crds"));
        assertThat(Prerequisites.missing(admin, Set.of())).isEmpty();
        assertThat(Prerequisites.missing(admin, Set.of(namespace))).isEmpty();
        var stranger = new ConfigBuilder(admin.getConfiguration())
                .withClientCertData(null)
                .withClientCertFile(null)
                .withClientKeyData(null)
                .withClientKeyFile(null)
                .withOauthToken(stage.token(namespace, "default", null, null))
                .build();
        try (var client = new KubernetesClientBuilder().withConfig(stranger).build()) {
            assertThat(Prerequisites.missing(client, Set.of()))
                    .hasValueSatisfying(
                            text -> assertThat(text).contains("may not list datasets.vlm-operator.io", "rbac"));
        }
    }
}
