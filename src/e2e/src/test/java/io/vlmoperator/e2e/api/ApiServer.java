package io.vlmoperator.e2e.api;

import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.vlmoperator.local.LocalCluster;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/** One control plane with the CRDs for all test classes of this package; a parameter of this type asks for it. */
final class ApiServer implements AutoCloseable {
    static final Path REPOSITORY = repository();
    private final Path folder;
    private final LocalCluster cluster;
    private final KubernetesClient admin;

    private ApiServer() throws IOException {
        folder = Files.createTempDirectory("vlm-api");
        cluster = LocalCluster.start(folder);
        admin = cluster.newClient();
        // By kubectl, as people do it: its reader of YAML is not that of the Java client.
        kubectl("apply", "--server-side", "-f", REPOSITORY.resolve("crds/crds").toString());
        for (Path file : crds()) {
            CustomResourceDefinition crd;
            try (InputStream in = Files.newInputStream(file)) {
                crd = admin.apiextensions()
                        .v1()
                        .customResourceDefinitions()
                        .load(in)
                        .item();
            }
            admin.apiextensions()
                    .v1()
                    .customResourceDefinitions()
                    .withName(crd.getMetadata().getName())
                    .waitUntilCondition(
                            c -> c != null
                                    && c.getStatus() != null
                                    && c.getStatus().getConditions().stream()
                                            .anyMatch(x -> x.getType().equals("Established")
                                                    && x.getStatus().equals("True")),
                            30,
                            TimeUnit.SECONDS);
        }
    }

    KubernetesClient admin() {
        return admin;
    }

    LocalCluster cluster() {
        return cluster;
    }

    /** A fresh namespace. */
    String namespace(String name) {
        admin.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(name)
                        .endMetadata()
                        .build())
                .create();
        return name;
    }

    /** What kubectl prints. */
    String kubectl(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                cluster.tool("kubectl").toString(),
                "--kubeconfig",
                cluster.kubeconfig().toString()));
        command.addAll(List.of(arguments));
        Path out = Files.createTempFile(folder, "kubectl", ".out");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(out.toFile())
                    .start();
            if (!process.waitFor(60, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(command + " did not end within a minute");
            }
            String output = Files.readString(out);
            if (process.exitValue() != 0) {
                throw new AssertionError(command + " failed: " + output);
            }
            return output;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    static List<Path> crds() throws IOException {
        try (Stream<Path> files = Files.list(REPOSITORY.resolve("crds/crds"))) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .sorted()
                    .toList();
        }
    }

    @Override
    public void close() throws Exception {
        admin.close();
        cluster.close();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static Path repository() {
        Path here = Path.of("").toAbsolutePath();
        while (!Files.isDirectory(here.resolve("crds/crds"))) {
            here = here.getParent();
            if (here == null) {
                throw new IllegalStateException(
                        "No crds/crds above " + Path.of("").toAbsolutePath());
            }
        }
        return here;
    }

    /** Starts the control plane when the first test asks for it and stops it after the last one. */
    static final class Extension implements ParameterResolver {
        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == ApiServer.class;
        }

        @Override
        public ApiServer resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return context.getRoot()
                    .getStore(ExtensionContext.Namespace.create(ApiServer.class))
                    .getOrComputeIfAbsent(
                            "api server",
                            key -> {
                                try {
                                    return new ApiServer();
                                } catch (IOException e) {
                                    throw new IllegalStateException("The API server did not start", e);
                                }
                            },
                            ApiServer.class);
        }
    }
}
