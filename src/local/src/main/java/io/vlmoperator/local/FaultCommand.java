package io.vlmoperator.local;

import io.fabric8.kubernetes.api.model.policy.v1.EvictionBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.vlmoperator.local.node.NodeFolder;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code vlm-local fault}: what goes wrong in a cluster, on request. */
@Command(name = "fault", description = "Make something go wrong.", mixinStandardHelpOptions = true)
final class FaultCommand {
    private FaultCommand() {}

    static FaultCommand create() {
        return new FaultCommand();
    }

    @Command(name = "kill-pod", description = "Send a signal to the processes of a pod, as if from outside.")
    void killPod(
            @Mixin Main.RunFolder run,
            @Parameters(paramLabel = "NAMESPACE/POD") String pod,
            @Option(
                            names = "--signal",
                            defaultValue = "KILL",
                            description = "${COMPLETION-CANDIDATES} (${DEFAULT-VALUE})")
                    Proc.Signal signal) {
        String[] parts = split(pod);
        int count = NodeFolder.all(run.path()).stream()
                .mapToInt(node -> node.signalPod(parts[0], parts[1], signal))
                .sum();
        if (count == 0) {
            throw new LocalClusterException("no process of a pod " + pod + " runs on a node of " + run.path());
        }
        System.err.println(signal + " sent to " + count + " process(es) of " + pod);
    }

    @Command(
            name = "lose-node",
            description =
                    "The node falls silent: no lease, no status, no logs. Its processes freeze, or die with --kill.")
    void loseNode(
            @Mixin Main.RunFolder run,
            @Parameters(arity = "0..1", defaultValue = "local-1", paramLabel = "NODE") String node,
            @Option(names = "--kill", description = "kill its processes") boolean kill) {
        node(run, node).lose(kill ? NodeFolder.Loss.KILL : NodeFolder.Loss.FREEZE);
    }

    @Command(name = "restore-node", description = "The lost node comes back; frozen processes go on.")
    void restoreNode(
            @Mixin Main.RunFolder run,
            @Parameters(arity = "0..1", defaultValue = "local-1", paramLabel = "NODE") String node) {
        node(run, node).restore();
    }

    @Command(description = "Evict a pod through the Eviction API, as a node drain does.")
    void evict(@Mixin Main.RunFolder run, @Parameters(paramLabel = "NAMESPACE/POD") String pod) {
        String[] parts = split(pod);
        ControlPlane controlPlane = ControlPlane.in(run.path());
        controlPlane.requireRunFolder();
        try (KubernetesClient client = new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(controlPlane.kubeconfig().toFile()))
                .build()) {
            boolean evicted = client.pods()
                    .inNamespace(parts[0])
                    .withName(parts[1])
                    .evict(new EvictionBuilder()
                            .withNewMetadata()
                            .withNamespace(parts[0])
                            .withName(parts[1])
                            .endMetadata()
                            .build());
            if (!evicted) {
                throw new LocalClusterException("the pod " + pod + " is not there, or a disruption budget forbids it");
            }
        } catch (KubernetesClientException e) {
            throw new LocalClusterException("cannot evict " + pod + ": " + e.getMessage(), e);
        }
    }

    private static NodeFolder node(Main.RunFolder run, String name) {
        List<NodeFolder> all = NodeFolder.all(run.path());
        return all.stream()
                .filter(node -> node.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new LocalClusterException("no node " + name + " in " + run.path() + "; it has "
                        + all.stream().map(NodeFolder::name).toList()));
    }

    private static String[] split(String pod) {
        String[] parts = pod.split("/");
        if (parts.length != 2 || parts[0].isEmpty() || parts[1].isEmpty()) {
            throw new LocalClusterException("a pod is named NAMESPACE/POD, not " + pod);
        }
        return parts;
    }
}
