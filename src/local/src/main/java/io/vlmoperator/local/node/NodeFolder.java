package io.vlmoperator.local.node;

import io.vlmoperator.local.Files2;
import io.vlmoperator.local.LocalClusterException;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The folder of a node, {@code RUN/nodes/NAME}: what commands other than the node itself may read and do.
 *
 * @param path the folder
 */
public record NodeFolder(Path path) {
    /** How a lost node's processes fare. */
    public enum Loss {
        /** They stop where they are, and go on when the node is back. */
        FREEZE,
        /** They are killed; the node reports it when it is back. */
        KILL
    }

    /** The folder of one node of a run. */
    public static NodeFolder of(Path run, String node) {
        return new NodeFolder(run.resolve("nodes").resolve(node));
    }

    /** All nodes a run ever had. */
    public static List<NodeFolder> all(Path run) {
        Path nodes = run.resolve("nodes");
        if (!Files.isDirectory(nodes)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(nodes)) {
            return entries.filter(Files::isDirectory).map(NodeFolder::new).toList();
        } catch (IOException e) {
            throw new LocalClusterException("cannot list " + nodes + ": " + e.getMessage(), e);
        }
    }

    /** The node's name. */
    public String name() {
        return path.getFileName().toString();
    }

    Path pods() {
        return path.resolve("pods");
    }

    Path addressFile() {
        return path.resolve("address");
    }

    Path lostFile() {
        return path.resolve("lost");
    }

    /** Whether the node plays dead. */
    public boolean lost() {
        return Files.exists(lostFile());
    }

    /** The node falls silent, and its processes freeze or die. */
    public void lose(Loss loss) {
        try {
            Files.writeString(lostFile(), loss + "\n");
        } catch (IOException e) {
            throw new LocalClusterException("cannot write " + lostFile() + ": " + e.getMessage(), e);
        }
        PodFolder.all(pods()).forEach(pod -> {
            if (loss == Loss.KILL) {
                pod.killAll();
            } else {
                pod.processes().forEach(process -> process.signal(Proc.Signal.STOP));
            }
        });
    }

    /** The node is back. */
    public void restore() {
        PodFolder.all(pods()).forEach(pod -> pod.processes().forEach(process -> process.signal(Proc.Signal.CONT)));
        try {
            Files.deleteIfExists(lostFile());
        } catch (IOException e) {
            throw new LocalClusterException("cannot delete " + lostFile() + ": " + e.getMessage(), e);
        }
    }

    /** Ends all processes of all pods; for when the node itself has ended. */
    public void killPods() {
        PodFolder.all(pods()).forEach(pod -> {
            pod.killAll();
            Files2.deleteTree(Volumes.memoryFolder(pod.path().getFileName().toString()));
        });
    }

    /**
     * Sends a signal to the processes of a pod's containers, as if from outside.
     *
     * @return how many processes got it; 0 when the pod does not run here
     */
    public int signalPod(String namespace, String name, Proc.Signal signal) {
        return find(namespace, name)
                .map(pod -> (int) pod.programs().stream()
                        .filter(program -> program.signal(signal))
                        .count())
                .orElse(0);
    }

    private Optional<PodFolder> find(String namespace, String name) {
        return PodFolder.all(pods()).stream()
                .filter(pod -> pod.owner()
                        .map(owner -> owner.namespace().equals(namespace)
                                && owner.name().equals(name))
                        .orElse(false))
                .filter(pod -> !pod.programs().isEmpty())
                .findFirst();
    }
}
