package io.vlmoperator.local.node;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.vlmoperator.local.Files2;
import io.vlmoperator.local.LocalClusterException;
import io.vlmoperator.local.Pki;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/** A node that runs in this JVM, with the provisioner of volumes. Closing it ends its pods' processes. */
public final class LocalNode implements AutoCloseable {
    private final NodeAgent agent;
    private final Provisioner provisioner;
    private final KubernetesClient provisionerClient;
    private final NodeFolder folder;
    private final NodeOptions options;
    private final FileChannel lock;
    private boolean closed;

    private LocalNode(
            NodeAgent agent,
            Provisioner provisioner,
            KubernetesClient provisionerClient,
            NodeFolder folder,
            NodeOptions options,
            FileChannel lock) {
        this.agent = agent;
        this.provisioner = provisioner;
        this.provisionerClient = provisionerClient;
        this.folder = folder;
        this.options = options;
        this.lock = lock;
    }

    /**
     * Starts a node. Pods whose processes still run from an earlier node of that name are taken up where they are.
     *
     * @param run the cluster's run folder
     * @param server the API server's address
     * @param pki the cluster's certificate authority
     */
    public static LocalNode start(Path run, String server, Pki pki, NodeOptions options) {
        NodeFolder folder = NodeFolder.of(run, options.name());
        FileChannel lock = lock(folder);
        Deque<AutoCloseable> begun = new ArrayDeque<>(List.of(lock)); // what to undo when the rest fails
        try {
            pki.issue(Provisioner.USER, "CN=" + Provisioner.USER, List.of());
            try (KubernetesClient admin = client(pki, server, "admin")) {
                Provisioner.grant(admin);
            }
            NodeAgent agent = new NodeAgent(run, server, pki, options);
            begun.push(agent);
            agent.start();
            KubernetesClient provisionerClient = client(pki, server, Provisioner.USER);
            Provisioner provisioner = new Provisioner(provisionerClient, run);
            provisioner.start();
            return new LocalNode(agent, provisioner, provisionerClient, folder, options, lock);
        } catch (InterruptedException e) {
            undo(begun);
            Thread.currentThread().interrupt();
            throw new LocalClusterException("interrupted while starting node " + options.name(), e);
        } catch (RuntimeException e) {
            undo(begun);
            throw e;
        }
    }

    private static void undo(Deque<AutoCloseable> begun) {
        for (AutoCloseable one : begun) {
            try {
                one.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /** Held for as long as the node runs: there is one of a name. */
    private static FileChannel lock(NodeFolder folder) {
        Path file = Files2.privateFolder(folder.path()).resolve(".lock");
        try {
            FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            try {
                if (channel.tryLock() != null) {
                    return channel;
                }
            } catch (OverlappingFileLockException e) {
                channel.close();
                throw new LocalClusterException("node " + folder.name() + " already runs in this program", e);
            }
            channel.close();
            throw new LocalClusterException(
                    "node " + folder.name() + " already runs; stop it first, or give this one another --name");
        } catch (IOException e) {
            throw new LocalClusterException("cannot lock " + file + ": " + e.getMessage(), e);
        }
    }

    private static KubernetesClient client(Pki pki, String server, String user) {
        return new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(pki.kubeconfig(server, user)))
                .build();
    }

    /** The node's name. */
    public String name() {
        return options.name();
    }

    /** What it can run; programs may be added. */
    public Images images() {
        return options.images();
    }

    /** Sends a signal to all processes of a pod's containers; says how many got it. */
    public int signalPod(String namespace, String pod, Proc.Signal signal) {
        return folder.signalPod(namespace, pod, signal);
    }

    /**
     * Lowers the memory limit of a pod that runs, for tests: if its containers hold more, they are killed as any other that exceeds its limit.
     *
     * @param bytes that each of its containers may hold from now on
     */
    public void squeeze(String namespace, String pod, long bytes) {
        agent.squeeze(namespace, pod, bytes);
    }

    /** The node falls silent: no lease, no status, no logs; its processes freeze or die. */
    public void lose(NodeFolder.Loss loss) {
        folder.lose(loss);
    }

    /** It comes back. */
    public void restore() {
        folder.restore();
    }

    /** Ends the node but leaves its processes, as the end of a kubelet does; a node of the same name takes them up. */
    public synchronized void detach() {
        if (!closed) {
            closed = true;
            provisioner.close();
            agent.close();
            provisionerClient.close();
            try {
                lock.close();
            } catch (IOException e) {
                throw new LocalClusterException("cannot unlock node " + options.name() + ": " + e.getMessage(), e);
            }
        }
    }

    /** Ends the node and all processes of its pods. */
    @Override
    public void close() {
        detach();
        folder.killPods();
    }
}
