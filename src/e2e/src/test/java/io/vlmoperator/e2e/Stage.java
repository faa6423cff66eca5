package io.vlmoperator.e2e;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.local.LocalCluster;
import io.vlmoperator.local.node.Images;
import io.vlmoperator.local.node.LocalNode;
import io.vlmoperator.local.node.NodeOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * The local cluster with the operator installed as a user installs it, made once for all tests of the module; each test takes a namespace of
 * its own with a claim and a small copy of the emoji data.
 */
final class Stage implements AutoCloseable {
    private static final String OPERATOR_NAMESPACE = "vlm-operator";
    private static final int EMOJI = 60;

    private final Path repository;
    private final Path folder;
    private final Path data;
    private final LocalCluster cluster;
    private final LocalNode node;
    private final List<LocalNode> nodes;
    private final KubernetesClient client;
    private final AtomicInteger namespaces = new AtomicInteger();

    /**
     * @param replicas of the operator; with more than one a leader is elected
     * @param size how many nodes
     */
    private Stage(String name, int replicas, int size) throws IOException, InterruptedException {
        repository = repository();
        folder = repository.resolve("src/e2e/target").resolve(name);
        data = folder.resolve("data");
        deleteTree(folder);
        Files.createDirectories(folder);
        run(
                "prepare-emoji",
                List.of(
                        repository.resolve("src/emoji/bin/prepare-emoji").toString(),
                        data.toString(),
                        "--limit",
                        Integer.toString(EMOJI)),
                Map.of());
        cluster = LocalCluster.start(folder.resolve("cluster"));
        Images images = new Images();
        images.put("vlm-operator/operator", program("operator", "operator/bin/vlm-operator"));
        images.put("vlm-operator/trainer", program("trainer", "trainer-image/bin/vlm-trainer"));
        List<LocalNode> started = new ArrayList<>();
        for (int n = 1; n <= size; n++) {
            started.add(cluster.startNode(NodeOptions.of("local-" + n, images).with(8, 16L << 30, 0)));
        }
        nodes = List.copyOf(started);
        node = nodes.getFirst();
        client = cluster.newClient();
        run(
                "helm",
                List.of(
                        cluster.tool("helm").toString(),
                        "upgrade",
                        "--install",
                        "vlm-operator",
                        repository.resolve("charts/vlm-operator").toString(),
                        "--namespace",
                        OPERATOR_NAMESPACE,
                        "--create-namespace",
                        "--wait",
                        "--timeout",
                        "4m",
                        "--set",
                        "operator.image=vlm-operator/operator:local",
                        "--set",
                        "trainer.image=vlm-operator/trainer:local",
                        "--set",
                        "operator.replicas=" + replicas),
                Map.of("KUBECONFIG", cluster.kubeconfig().toString()));
    }

    /** A stage of its own, for a program that is no test. */
    static Stage start() throws IOException, InterruptedException {
        return new Stage("stage", 1, 1);
    }

    /** A stage of its own, with several replicas of the operator. */
    static Stage withReplicas(int replicas) throws IOException, InterruptedException {
        return new Stage("stage-replicas", replicas, 1);
    }

    /** A stage of its own, with several nodes {@code local-1}, {@code local-2} ... of 8 processors each. */
    static Stage withNodes(int size) throws IOException, InterruptedException {
        return new Stage("stage-nodes", 1, size);
    }

    KubernetesClient client() {
        return client;
    }

    LocalNode node() {
        return node;
    }

    LocalNode node(String name) {
        return nodes.stream()
                .filter(one -> one.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no node " + name));
    }

    LocalCluster cluster() {
        return cluster;
    }

    Path examples() {
        return repository.resolve("examples/emoji");
    }

    String operatorNamespace() {
        return OPERATOR_NAMESPACE;
    }

    /** A namespace with the claim {@code emoji} that holds the data. */
    Space newSpace(String purpose) throws IOException, InterruptedException {
        String name = purpose + "-" + namespaces.incrementAndGet();
        return Space.create(this, name, data, folder.resolve("cluster/volumes").resolve(name));
    }

    /** The program of this checkout, or with {@code VLM_E2E_IMAGES=REGISTRY:TAG} (see make test-images) the image of that name. */
    private List<String> program(String name, String path) {
        String images = System.getenv().getOrDefault("VLM_E2E_IMAGES", "");
        if (images.isEmpty()) {
            return List.of(executable(path));
        }
        int colon = images.lastIndexOf(':');
        String image = images.substring(0, colon) + "/" + name + images.substring(colon);
        String engine = System.getenv().getOrDefault("DOCKER_HOST", "unix:///var/run/docker.sock");
        return List.of("/usr/bin/env", "DOCKER_HOST=" + engine, executable("src/images/bin/run-image"), image);
    }

    private String executable(String path) {
        Path file = repository.resolve(path);
        if (!Files.isExecutable(file)) {
            throw new AssertionError(file + " is missing; run make build");
        }
        return file.toString();
    }

    private void run(String name, List<String> command, Map<String, String> environment)
            throws IOException, InterruptedException {
        Path log = folder.resolve(name + ".log");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        if (!process.waitFor(300, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError(name + " did not end within 300 s; see " + log);
        }
        if (process.exitValue() != 0) {
            throw new AssertionError(
                    name + " ended with " + process.exitValue() + "; see " + log + ":\n" + Files.readString(log));
        }
    }

    private static Path repository() {
        Path at = Path.of("").toAbsolutePath();
        while (at != null && !Files.exists(at.resolve("charts"))) {
            at = at.getParent();
        }
        if (at == null) {
            throw new AssertionError("not inside a checkout: " + Path.of("").toAbsolutePath());
        }
        return at;
    }

    private static void deleteTree(Path tree) throws IOException {
        if (!Files.exists(tree)) {
            return;
        }
        List<Path> all = new ArrayList<>();
        try (var files = Files.walk(tree)) {
            files.forEach(all::add);
        }
        for (Path path : all.reversed()) {
            Files.delete(path);
        }
    }

    @Override
    public void close() {
        client.close();
        nodes.reversed().forEach(LocalNode::close);
        cluster.close();
    }

    /** Gives tests the one stage. */
    static final class Extension implements ParameterResolver {
        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == Stage.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return context.getRoot()
                    .getStore(ExtensionContext.Namespace.create(Stage.class))
                    .computeIfAbsent(Stage.class, type -> open(), Stage.class);
        }

        private static Stage open() {
            try {
                return new Stage("stage", 1, 1);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted", e);
            }
        }
    }
}
