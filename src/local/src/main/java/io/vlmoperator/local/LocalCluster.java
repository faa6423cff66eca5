package io.vlmoperator.local;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.vlmoperator.local.node.LocalNode;
import io.vlmoperator.local.node.NodeFolder;
import io.vlmoperator.local.node.NodeOptions;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * A real Kubernetes control plane on loopback, for tests and for one person's machine. All its state lies in one folder; starting on a
 * folder used before finds all objects again.
 *
 * <pre>{@code
 * try (LocalCluster cluster = LocalCluster.start(folder)) {
 *     KubernetesClient admin = cluster.newClient();
 *     ...
 * }
 * }</pre>
 *
 * <p>Closing stops everything that runs from the folder. A shutdown hook does the same when the JVM ends first.
 */
public final class LocalCluster implements AutoCloseable {
    private final ControlPlane controlPlane;
    private final Path folder;
    private final Path tools;
    private final Thread atExit;
    private final List<LocalNode> nodes = new ArrayList<>();

    private LocalCluster(ControlPlane controlPlane, Path folder, Path tools) {
        this.controlPlane = controlPlane;
        this.folder = folder;
        this.tools = tools;
        this.atExit = new Thread(this::stop, "stop " + folder);
        Runtime.getRuntime().addShutdownHook(atExit);
    }

    /**
     * How to start.
     *
     * @param firstPort first of five ports; empty chooses free ones below 32768
     * @param controllers the controller manager's {@code --controllers}
     * @param flags more flags by component ({@code kube-apiserver}, ...), appended, so that they win
     */
    public record Options(OptionalInt firstPort, String controllers, Map<String, List<String>> flags) {
        public Options {
            flags = Map.copyOf(flags);
        }

        /** Free ports, all controllers. */
        public static Options defaults() {
            return new Options(OptionalInt.empty(), "*", Map.of());
        }

        /** The same with one more flag for a component, for example {@code --node-monitor-grace-period=16s}. */
        public Options with(String component, String flag) {
            if (!ControlPlane.COMPONENTS.contains(component)) {
                throw new IllegalArgumentException(component + " is none of " + ControlPlane.COMPONENTS);
            }
            Map<String, List<String>> more = new java.util.HashMap<>(flags);
            more.merge(
                    component,
                    List.of(flag),
                    (a, b) -> java.util.stream.Stream.concat(a.stream(), b.stream())
                            .toList());
            return new Options(firstPort, controllers, more);
        }
    }

    /** Starts with the defaults; returns when the API server, controller manager and scheduler are ready. */
    public static LocalCluster start(Path folder) {
        return start(folder, Options.defaults());
    }

    /**
     * Starts a control plane in a folder.
     *
     * @throws LocalClusterException when one already runs there, a program is missing ({@code make tools}), a port is taken, or a program
     *     does not become ready
     */
    public static LocalCluster start(Path folder, Options options) {
        Path absolute = folder.toAbsolutePath().normalize();
        Path tools = Tools.locate();
        ControlPlane controlPlane = ControlPlane.in(absolute);
        try {
            controlPlane.start(tools, options.firstPort(), options.controllers(), options.flags());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalClusterException("interrupted while starting " + absolute, e);
        }
        return new LocalCluster(controlPlane, absolute, tools);
    }

    /** The administrator's kubeconfig. */
    public Path kubeconfig() {
        return controlPlane.kubeconfig();
    }

    /** The API server's address, such as {@code https://127.0.0.1:23456}. */
    public String server() {
        return controlPlane.server();
    }

    /** A program built with the cluster: {@code kubectl}, {@code helm}. */
    public Path tool(String name) {
        return tools.resolve(name);
    }

    /** The run folder: logs ({@code NAME.log}), certificates ({@code pki}), volumes. */
    public Path folder() {
        return folder;
    }

    /** A client with the administrator's rights; the caller closes it. */
    public KubernetesClient newClient() {
        return new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(new File(kubeconfig().toString())))
                .build();
    }

    /** Starts a node in this JVM; it ends with the cluster, or when it is closed. */
    public synchronized LocalNode startNode(NodeOptions options) {
        LocalNode node = LocalNode.start(folder, server(), controlPlane.pki(), options);
        nodes.add(node);
        return node;
    }

    /** Stops everything that runs from the folder; nothing happens when it is stopped already. */
    @Override
    public void close() {
        stop();
        try {
            Runtime.getRuntime().removeShutdownHook(atExit);
        } catch (IllegalStateException e) {
            return; // the JVM is ending: the hook runs, and finds nothing left to stop
        }
    }

    private synchronized void stop() {
        nodes.forEach(LocalNode::close);
        NodeFolder.all(folder).forEach(NodeFolder::killPods);
        try {
            controlPlane.stopAll();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LocalClusterException("interrupted while stopping " + folder, e);
        }
    }
}
