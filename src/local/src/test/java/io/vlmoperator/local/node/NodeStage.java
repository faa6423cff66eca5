package io.vlmoperator.local.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.local.LocalCluster;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** A control plane with one node for the tests of a class, a namespace for each test, and what they wait for. */
abstract class NodeStage {
    @TempDir
    static Path folder;

    static LocalCluster cluster;
    static KubernetesClient client;
    static LocalNode node;

    String namespace;

    @BeforeAll
    static void start() {
        cluster = LocalCluster.start(
                folder,
                LocalCluster.Options.defaults().with("kube-controller-manager", "--node-monitor-grace-period=12s"));
        client = cluster.newClient();
        node = cluster.startNode(options());
    }

    static NodeOptions options() {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        Images images = new Images()
                .put("sh", List.of("/bin/sh"))
                .put("example.org/names", List.of(java, "-cp", classes, PodProgram.class.getName()));
        return NodeOptions.of("local-1", images).with(32, 64L << 30, 2);
    }

    @AfterAll
    static void stop() {
        if (cluster != null) {
            client.close();
            cluster.close();
        }
    }

    @BeforeEach
    void newNamespace(TestInfo test) {
        namespace = "t-" + Integer.toHexString(test.getDisplayName().hashCode());
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(namespace)
                        .endMetadata()
                        .build())
                .create();
        await(
                "the default account of " + namespace,
                () -> Optional.ofNullable(client.serviceAccounts()
                        .inNamespace(namespace)
                        .withName("default")
                        .get()));
    }

    Optional<Integer> nodeReady(String status) {
        return client.nodes().withName("local-1").get().getStatus().getConditions().stream()
                .filter(condition -> condition.getType().equals("Ready")
                        && condition.getStatus().equals(status))
                .map(condition -> 1)
                .findFirst();
    }

    void apply(String yaml) {
        List<HasMetadata> items = client.load(new ByteArrayInputStream(yaml.getBytes(StandardCharsets.UTF_8)))
                .items();
        items.forEach(item -> client.resource(item).inNamespace(namespace).create());
    }

    Pod pod(String name) {
        return client.pods().inNamespace(namespace).withName(name).get();
    }

    List<Pod> pods(String label, String value) {
        return client.pods()
                .inNamespace(namespace)
                .withLabel(label, value)
                .list()
                .getItems();
    }

    Optional<Pod> podOfIndex(String job, int index) {
        return pods("job-name", job).stream()
                .filter(pod -> Integer.toString(index)
                        .equals(pod.getMetadata().getLabels().get("batch.kubernetes.io/job-completion-index")))
                .findFirst();
    }

    Optional<Pod> phase(String name, String phase) {
        return Optional.ofNullable(pod(name))
                .filter(pod -> phase.equals(pod.getStatus().getPhase()));
    }

    void awaitRunning(String name) {
        await(name + " to run", () -> phase(name, "Running"));
    }

    void awaitLog(String name, String text) {
        await(
                "'" + text + "' in the log of " + name,
                () -> Optional.ofNullable(pod(name))
                        .filter(NodeStage::hasBegun)
                        .map(pod -> kubectl("logs", name))
                        .filter(log -> log.contains(text)));
    }

    Optional<String> waiting(String name, String reason) {
        return Optional.ofNullable(pod(name))
                .filter(pod -> !pod.getStatus().getContainerStatuses().isEmpty())
                .map(pod -> only(pod).getState().getWaiting())
                .filter(waiting -> reason.equals(waiting.getReason()))
                .map(waiting -> waiting.getMessage());
    }

    static ContainerStatus only(Pod pod) {
        return pod.getStatus().getContainerStatuses().getFirst();
    }

    static boolean hasBegun(Pod pod) {
        return List.of("Running", "Succeeded", "Failed")
                .contains(pod.getStatus().getPhase());
    }

    static boolean hasCondition(Job job, String type) {
        return job.getStatus().getConditions().stream()
                .anyMatch(condition -> condition.getType().equals(type)
                        && condition.getStatus().equals("True"));
    }

    static String condition(Pod pod, String type) {
        return pod.getStatus().getConditions().stream()
                .filter(condition -> condition.getType().equals(type))
                .map(condition -> condition.getStatus() + " " + condition.getReason())
                .findFirst()
                .orElse("absent");
    }

    String kubectl(String... arguments) {
        try {
            List<String> line =
                    new java.util.ArrayList<>(List.of(cluster.tool("kubectl").toString(), "-n", namespace));
            line.addAll(List.of(arguments));
            ProcessBuilder builder = new ProcessBuilder(line).redirectError(ProcessBuilder.Redirect.INHERIT);
            builder.environment()
                    .putAll(Map.of("KUBECONFIG", cluster.kubeconfig().toString()));
            Process process = builder.start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            return output;
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static <T> T await(String what, Supplier<Optional<T>> probe) {
        long deadline = System.nanoTime() + Duration.ofSeconds(90).toNanos();
        while (System.nanoTime() < deadline) {
            Optional<T> found = probe.get();
            if (found.isPresent()) {
                return found.get();
            }
            try {
                Thread.sleep(100);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        throw new AssertionError("waited 90 s for " + what + "; look at the logs in " + folder);
    }
}
