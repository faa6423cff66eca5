package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.authentication.TokenReview;
import io.fabric8.kubernetes.api.model.authentication.TokenReviewBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.vlmoperator.local.LocalClusterException;
import io.vlmoperator.local.Proc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The node on a real control plane. Each test has a namespace of its own. */
@Timeout(180)
class LocalNodeTest extends NodeStage {
    @Test
    void anIndexedJobEndsWithTheExitCodesAndMessagesOfItsPrograms() throws Exception {
        apply("""
                apiVersion: batch/v1
                kind: Job
                metadata: {name: work}
                spec:
                  completions: 2
                  parallelism: 2
                  completionMode: Indexed
                  backoffLimit: 0
                  template:
                    spec:
                      restartPolicy: Never
                      containers:
                      - name: main
                        image: sh:1
                        args: ["-c", "echo first; sleep 1; echo index $JOB_COMPLETION_INDEX; echo why $(HI) > $TERM; exit $((JOB_COMPLETION_INDEX * 42))"]
                        env:
                        - {name: TERM, value: /dev/termination-log}
                        - {name: HI, value: there}
                        resources: {limits: {nvidia.com/gpu: 1}}
                """);
        Pod one = await("the pod of index 1", () -> podOfIndex("work", 1).filter(LocalNodeTest::hasBegun));
        assertThat(kubectl("logs", "-f", one.getMetadata().getName()))
                .as("kubectl logs -f waits for the end")
                .isEqualTo("first\nindex 1\n");
        assertThat(kubectl("logs", "--tail=1", one.getMetadata().getName())).isEqualTo("index 1\n");

        await("the Job's failure", () -> Optional.ofNullable(jobs().get()).filter(job -> hasCondition(job, "Failed")));
        Pod failed = podOfIndex("work", 1).orElseThrow();
        assertThat(failed.getStatus().getPhase()).isEqualTo("Failed");
        var ended = only(failed).getState().getTerminated();
        assertThat(ended.getExitCode()).isEqualTo(42);
        assertThat(ended.getReason()).isEqualTo("Error");
        assertThat(ended.getMessage()).isEqualTo("why there\n");
        assertThat(condition(failed, "Ready")).isEqualTo("False PodFailed");
        assertThat(condition(failed, "Initialized")).startsWith("True");
        assertThat(failed.getStatus().getPodIP()).startsWith("10.");
    }

    private io.fabric8.kubernetes.client.dsl.ScalableResource<Job> jobs() {
        return client.batch().v1().jobs().inNamespace(namespace).withName("work");
    }

    @Test
    void aDeletedPodGetsItsGraceThenIsKilledAndIsGone() throws Exception {
        apply(pod("polite", "trap 'echo bye > $OUT/polite; exit 3' TERM; echo up; while :; do sleep 0.1; done", 30)
                + "---\n"
                + pod("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done", 2));
        awaitRunning("polite");
        awaitRunning("stubborn");
        awaitLog("polite", "up");
        awaitLog("stubborn", "up");
        long began = System.nanoTime();
        client.pods().inNamespace(namespace).delete();
        await("polite to go", () -> Optional.ofNullable(pod("polite")).isEmpty() ? Optional.of(1) : Optional.empty());
        assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(20));
        await(
                "stubborn to go",
                () -> Optional.ofNullable(pod("stubborn")).isEmpty() ? Optional.of(1) : Optional.empty());
        assertThat(Duration.ofNanos(System.nanoTime() - began))
                .as("its grace of 2 s")
                .isGreaterThan(Duration.ofSeconds(2));
        assertThat(folder.resolve("out/polite")).hasContent("bye");
    }

    private String pod(String name, String script, int grace) throws Exception {
        Files.createDirectories(folder.resolve("out"));
        return """
                apiVersion: v1
                kind: Pod
                metadata: {name: %s}
                spec:
                  restartPolicy: Never
                  terminationGracePeriodSeconds: %d
                  containers:
                  - name: main
                    image: sh
                    args: ["-c", "%s"]
                    env: [{name: OUT, value: /out}]
                    volumeMounts: [{name: out, mountPath: /out}]
                  volumes: [{name: out, hostPath: {path: %s, type: Directory}}]
                """.formatted(name, grace, script, folder.resolve("out"));
    }

    @Test
    void configMapsSecretsAndTokensAreFilesAndConfigMapsFollowTheirSource() throws Exception {
        apply("""
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: settings}
                data: {a: "1"}
                ---
                apiVersion: v1
                kind: Secret
                metadata: {name: key}
                stringData: {word: hidden}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: reader, labels: {tier: x}}
                spec:
                  restartPolicy: Never
                  initContainers:
                  - {name: before, image: sh, args: ["-c", "echo made > $D/made"], env: [{name: D, value: /scratch}], volumeMounts: [{name: scratch, mountPath: /scratch}]}
                  containers:
                  - name: main
                    image: sh
                    workingDir: /etc/app
                    args: ["-c", "cat a $S/deep/word $(F) $M/made; echo; echo $W $PREFIX_a $L; until [ $(cat a) = 2 ]; do sleep 0.2; done; echo seen; cat $T/token"]
                    env:
                    - {name: S, value: /secret}
                    - {name: T, value: /tokens}
                    - {name: M, value: /scratch}
                    - {name: F, value: /etc/podinfo/name}
                    - {name: W, valueFrom: {secretKeyRef: {name: key, key: word}}}
                    - {name: L, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
                    envFrom: [{prefix: PREFIX_, configMapRef: {name: settings}}]
                    volumeMounts:
                    - {name: settings, mountPath: /etc/app}
                    - {name: key, mountPath: /secret}
                    - {name: tokens, mountPath: /tokens}
                    - {name: info, mountPath: /etc/podinfo}
                    - {name: scratch, mountPath: /scratch}
                  volumes:
                  - {name: settings, configMap: {name: settings}}
                  - {name: key, secret: {secretName: key, items: [{key: word, path: deep/word, mode: 0400}]}}
                  - {name: tokens, projected: {sources: [{serviceAccountToken: {path: token, audience: progress, expirationSeconds: 600}}]}}
                  - {name: info, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
                  - {name: scratch, emptyDir: {medium: Memory}}
                """);
        awaitLog("reader", "hidden 1 x");
        assertThat(kubectl("logs", "reader")).startsWith("1hiddenreadermade\n");
        ConfigMap settings =
                client.configMaps().inNamespace(namespace).withName("settings").get();
        settings.getData().put("a", "2");
        client.resource(settings).update();
        await("the program to see the new ConfigMap", () -> phase("reader", "Succeeded"));
        String token = kubectl("logs", "reader").lines().reduce((a, b) -> b).orElseThrow();
        TokenReview review = client.resource(new TokenReviewBuilder()
                        .withNewSpec()
                        .withToken(token)
                        .withAudiences("progress")
                        .endSpec()
                        .build())
                .create();
        assertThat(review.getStatus().getAuthenticated())
                .as("%s", review.getStatus().getError())
                .isTrue();
        assertThat(review.getStatus().getUser().getExtra())
                .containsEntry("authentication.kubernetes.io/pod-name", List.of("reader"));
    }

    @Test
    void aClaimIsAFolderTakenAsItIsAndRemovedWithTheClaim() throws Exception {
        Path place = folder.resolve("volumes").resolve(namespace).resolve("data");
        Files.createDirectories(place.resolve("in"));
        Files.writeString(place.resolve("in/before"), "prepared");
        apply("""
                apiVersion: v1
                kind: PersistentVolumeClaim
                metadata: {name: data}
                spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: user}
                spec:
                  restartPolicy: Never
                  containers:
                  - name: main
                    image: sh
                    args: ["-c", "cp $M/data/before $M/data/after"]
                    env: [{name: M, value: /mnt}]
                    volumeMounts: [{name: data, mountPath: /mnt/data, subPath: in}]
                  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
                """);
        await("the pod to succeed", () -> phase("user", "Succeeded"));
        assertThat(place.resolve("in/after")).hasContent("prepared");
        String volume = client.persistentVolumeClaims()
                .inNamespace(namespace)
                .withName("data")
                .get()
                .getSpec()
                .getVolumeName();
        client.pods().inNamespace(namespace).withName("user").delete();
        client.persistentVolumeClaims().inNamespace(namespace).withName("data").delete();
        await(
                "the volume to go",
                () -> Optional.ofNullable(client.persistentVolumes()
                                        .withName(volume)
                                        .get())
                                .isEmpty()
                        ? Optional.of(1)
                        : Optional.empty());
        assertThat(place).doesNotExist();
    }

    @Test
    void aKilledProgramOfADeploymentIsStartedAgainAndTheServiceFollowsItsReadiness() throws Exception {
        apply("""
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: server}
                spec:
                  replicas: 1
                  selector: {matchLabels: {app: server}}
                  template:
                    metadata: {labels: {app: server}}
                    spec:
                      containers:
                      - name: main
                        image: sh
                        args: ["-c", "echo start; sleep 1; touch $S/ready; sleep 1000"]
                        env: [{name: S, value: /s}]
                        readinessProbe: {exec: {command: [test, -e, /s/ready]}, periodSeconds: 1}
                        volumeMounts: [{name: s, mountPath: /s}]
                      volumes: [{name: s, emptyDir: {}}]
                """);
        Pod pod = await(
                "a ready pod",
                () -> pods("app", "server").stream()
                        .filter(one -> condition(one, "Ready").startsWith("True"))
                        .findFirst());
        String name = pod.getMetadata().getName();
        assertThat(node.signalPod(namespace, name, Proc.Signal.KILL)).isPositive();
        Pod again = await(
                "a second start",
                () -> Optional.ofNullable(pod(name))
                        .filter(one -> only(one).getRestartCount() == 1
                                && only(one).getState().getRunning() != null));
        assertThat(only(again).getLastState().getTerminated().getExitCode()).isEqualTo(137);
        assertThat(kubectl("logs", "--previous", name)).isEqualTo("start\n");
    }

    @Test
    void whatCannotRunSaysWhyInItsStatus() throws Exception {
        apply("""
                apiVersion: v1
                kind: Pod
                metadata: {name: unknown}
                spec: {containers: [{name: main, image: "nowhere/thing:1"}]}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: unmounted}
                spec:
                  containers: [{name: main, image: sh, volumeMounts: [{name: c, mountPath: /c}]}]
                  volumes: [{name: c, configMap: {name: absent}}]
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: keyless}
                spec:
                  containers: [{name: main, image: sh, env: [{name: A, valueFrom: {configMapKeyRef: {name: absent, key: k}}}]}]
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: hungry}
                spec:
                  restartPolicy: Never
                  containers:
                  - name: main
                    image: sh
                    args: ["-c", "held=$(head -c 200000000 /dev/zero | tr '\\\\0' x); sleep 600; echo $held | wc -c"]
                    resources: {limits: {memory: 64Mi}}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: squeezed}
                spec:
                  restartPolicy: Never
                  containers:
                  - name: main
                    image: sh
                    args: ["-c", "held=$(head -c 100000000 /dev/zero | tr '\\\\0' x); sleep 600; echo $held | wc -c"]
                """);
        assertThat(await("a reason", () -> waiting("unknown", "ImagePullBackOff")))
                .contains("nowhere/thing:1", "[example.org/names, sh]", "--program");
        assertThat(await("a reason", () -> waiting("keyless", "CreateContainerConfigError")))
                .contains("configmap \"absent\" not found");
        Event event = await(
                "an event",
                () -> client.v1().events().inNamespace(namespace).list().getItems().stream()
                        .filter(one -> one.getReason().equals("FailedMount"))
                        .findFirst());
        assertThat(event.getMessage()).contains("volume \"c\"", "configmap \"absent\" not found");
        Pod hungry = await("the end of the hungry", () -> phase("hungry", "Failed"));
        assertThat(only(hungry).getState().getTerminated().getReason()).isEqualTo("OOMKilled");
        await("the squeezed to run", () -> phase("squeezed", "Running"));
        node.squeeze(namespace, "squeezed", 32L << 20);
        Pod squeezed = await("the end of the squeezed", () -> phase("squeezed", "Failed"));
        assertThat(only(squeezed).getState().getTerminated().getReason()).isEqualTo("OOMKilled");
    }

    @Test
    void podsFindEachOtherByNameAndTheApiServerByTheirAccount() throws Exception {
        apply("""
                apiVersion: v1
                kind: Service
                metadata: {name: ring}
                spec: {clusterIP: None, selector: {app: ring}, ports: [{port: 1234}]}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: ring-a, labels: {app: ring}}
                spec:
                  hostname: zero
                  subdomain: ring
                  terminationGracePeriodSeconds: 0
                  containers: [{name: main, image: sh, args: ["-c", "sleep 1000"]}]
                ---
                apiVersion: rbac.authorization.k8s.io/v1
                kind: Role
                metadata: {name: reader}
                rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
                ---
                apiVersion: rbac.authorization.k8s.io/v1
                kind: RoleBinding
                metadata: {name: reader}
                roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
                subjects: [{kind: ServiceAccount, name: allowed}]
                ---
                apiVersion: v1
                kind: ServiceAccount
                metadata: {name: allowed}
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: allowed}
                spec:
                  serviceAccountName: allowed
                  restartPolicy: Never
                  containers: [{name: main, image: "example.org/names@sha256:0", args: [zero.ring.NS.svc, ring, localhost]}]
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: refused}
                spec:
                  restartPolicy: Never
                  containers: [{name: main, image: "example.org/names:2"}]
                """.replace("NS", namespace));
        await("the allowed program", () -> phase("allowed", "Succeeded"));
        String peer = Addresses.loopback(pod("ring-a").getStatus().getPodIP());
        String own = Addresses.loopback(pod("allowed").getStatus().getPodIP());
        assertThat(kubectl("logs", "allowed"))
                .contains(
                        "zero.ring." + namespace + ".svc = [" + peer + "]",
                        "ring = [" + peer + "]",
                        "localhost = [127.0.0.1]",
                        "self = [" + own + "]",
                        "namespace = " + namespace,
                        "configmaps = 1");
        await("the refused program", () -> phase("refused", "Succeeded"));
        assertThat(kubectl("logs", "refused"))
                .as("its own account, and nothing more")
                .contains("configmaps refused 403", "system:serviceaccount:" + namespace + ":default");
    }

    @Test
    void aNodeStartedAgainTakesUpWhatRunsAndLearnsHowTheRestEnded() throws Exception {
        apply(pod("long", "echo up; while [ ! -e $OUT/end-long ]; do sleep 0.1; done; exit 5", 0)
                + "---\n"
                + pod("short", "echo up; while [ ! -e $OUT/end-short ]; do sleep 0.1; done; exit 7", 0)
                + "---\n"
                + pod("deleted", "echo up; sleep 1000", 0));
        for (String name : List.of("long", "short", "deleted")) {
            awaitRunning(name);
            awaitLog(name, "up");
        }
        String containerId = only(pod("long")).getContainerID();
        List<Proc.Identity> gone = PodFolder.all(
                        NodeFolder.of(folder, "local-1").pods())
                .stream()
                .filter(pod -> pod.owner().orElseThrow().name().equals("deleted"))
                .flatMap(pod -> pod.processes().stream())
                .toList();
        assertThat(gone).isNotEmpty();
        assertThatThrownBy(() -> cluster.startNode(options()))
                .isInstanceOf(LocalClusterException.class)
                .hasMessageContaining("local-1 already runs");
        node.detach();
        Files.writeString(folder.resolve("out/end-short"), "");
        client.pods()
                .inNamespace(namespace)
                .withName("deleted")
                .withGracePeriod(0)
                .delete();
        Thread.sleep(500);
        node = cluster.startNode(options());

        Pod ended = await("the end of the short", () -> phase("short", "Failed"));
        assertThat(only(ended).getState().getTerminated().getExitCode()).isEqualTo(7);
        assertThat(only(pod("long")).getContainerID()).isEqualTo(containerId);
        assertThat(only(pod("long")).getRestartCount()).isZero();
        Files.writeString(folder.resolve("out/end-long"), "");
        Pod second = await("the end of the long", () -> phase("long", "Failed"));
        assertThat(only(second).getState().getTerminated().getExitCode()).isEqualTo(5);
        await(
                "the deleted pod's processes to end",
                () -> gone.stream().noneMatch(Proc.Identity::alive) ? Optional.of(1) : Optional.empty());
    }

    @Test
    void aLostNodeIsNotReadyUntilItComesBackAndFrozenPodsGoOn() throws Exception {
        apply(pod("worker", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done", 0));
        awaitRunning("worker");
        node.lose(NodeFolder.Loss.FREEZE);
        try {
            await("the node to be found lost", () -> nodeReady("Unknown"));
        } finally {
            node.restore();
        }
        await("the node to be back", () -> nodeReady("True"));
        int before = kubectl("logs", "worker").split("\n").length;
        await(
                "the worker to go on",
                () -> Optional.of(kubectl("logs", "worker").split("\n").length).filter(lines -> lines > before));
        assertThat(only(pod("worker")).getRestartCount()).isZero();
    }
}
