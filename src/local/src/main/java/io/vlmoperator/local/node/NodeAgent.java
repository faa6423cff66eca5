package io.vlmoperator.local.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.vlmoperator.local.Files2;
import io.vlmoperator.local.LocalClusterException;
import io.vlmoperator.local.Pki;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A node: registers itself, keeps its lease, and gives every pod bound to it a {@link PodRunner}. It acts with the certificate of
 * {@code system:node:NAME}, so whatever it does, the Node authorizer lets a node do.
 */
final class NodeAgent implements AutoCloseable {
    /** A pod with this annotation set to "true" resolves names as this machine does, and no names of the cluster. */
    static final String OUTSIDE_NAMES = "vlm-operator.io/local-outside-names";

    private static final Logger LOG = Logger.getLogger(NodeAgent.class.getName());
    private static final Duration LEASE_EVERY = Duration.ofSeconds(10);
    private static final Duration LOOK_EVERY = Duration.ofSeconds(2);
    private static final Duration REACHED_WITHIN = Duration.ofSeconds(120);
    private static final int MOST_PODS = 110;
    private static final int EVENT_QUEUE = 500;

    private final NodeOptions options;
    private final NodeFolder folder;
    private final URI api;
    private final KubernetesClient kubernetes;
    private final KubernetesClient proxy;
    private final NodeClient client;
    private final LogServer logs;
    private final NameService names;
    private final MemoryWatch memory;
    private final Addresses addresses;
    private final Map<String, PodRunner> runners = new ConcurrentHashMap<>();
    private final BlockingQueue<Runnable> events = new ArrayBlockingQueue<>(EVENT_QUEUE);
    private final Thread heart;
    private final Thread eventSender;
    private SharedIndexInformer<Pod> informer;
    private volatile boolean closed;

    /**
     * @param server the API server's address
     * @param pki the cluster's certificate authority
     */
    NodeAgent(Path run, String server, Pki pki, NodeOptions options) {
        this.options = options;
        this.folder = NodeFolder.of(run, options.name());
        this.api = URI.create(server);
        Files2.privateFolder(folder.pods());
        this.logs = LogServer.bind(folder, pki, this::runner);
        pki.issue("kube-proxy", "CN=system:kube-proxy", List.of());
        this.kubernetes = newClient(pki, logs.certificate(), "node");
        this.proxy = newClient(pki, "kube-proxy", "proxy");
        this.client = new NodeClient(kubernetes, this::lost);
        this.names = new NameService(proxy, folder.path());
        this.addresses = new Addresses(logs.address());
        this.memory = new MemoryWatch(runners::values);
        this.heart = Thread.ofVirtual().name("heart of " + options.name()).unstarted(this::beat);
        this.eventSender = Thread.ofVirtual().name("events").unstarted(this::sendEvents);
    }

    private KubernetesClient newClient(Pki pki, String certificate, String user) {
        Config config = Config.fromKubeconfig(pki.kubeconfig(api.toString(), certificate));
        config.setUserAgent("vlm-local " + user);
        return new KubernetesClientBuilder().withConfig(config).build();
    }

    void squeeze(String namespace, String pod, long bytes) {
        memory.squeeze(namespace, pod, bytes);
    }

    /** Registers the node, takes up or clears away what was left, and begins. Returns when pods can be bound. */
    void start() throws InterruptedException {
        folder.restore(); // a node that is started is not lost
        register();
        names.start();
        logs.start();
        memory.start();
        eventSender.start();
        informer = kubernetes
                .pods()
                .inAnyNamespace()
                .withField("spec.nodeName", options.name())
                .runnableInformer(0);
        informer.exceptionHandler((begun, problem) -> true); // the API server may be away: try for ever
        informer.addEventHandler(new ResourceEventHandler<>() {
            @Override
            public void onAdd(Pod pod) {
                changed(pod);
            }

            @Override
            public void onUpdate(Pod before, Pod pod) {
                changed(pod);
            }

            @Override
            public void onDelete(Pod pod, boolean unknown) {
                Optional.ofNullable(runners.get(pod.getMetadata().getUid())).ifPresent(PodRunner::removed);
            }
        });
        reserveAddresses();
        informer.start();
        long deadline = System.nanoTime() + REACHED_WITHIN.toNanos();
        while (!informer.hasSynced()) {
            if (System.nanoTime() > deadline) {
                throw new LocalClusterException("the API server at " + api + " does not list the pods of this node");
            }
            Thread.sleep(20);
        }
        clearStrangers();
        heart.start();
    }

    /** The addresses of pods that still run must not be given to new ones. */
    private void reserveAddresses() {
        PodFolder.all(folder.pods()).forEach(pod -> pod.owner().ifPresent(owner -> addresses.take(owner.address())));
    }

    /** Ends what runs for pods that went while this node was not there. */
    private void clearStrangers() {
        for (PodFolder pod : PodFolder.all(folder.pods())) {
            String uid = pod.path().getFileName().toString();
            if (!runners.containsKey(uid)
                    && informer.getStore().list().stream()
                            .noneMatch(known -> known.getMetadata().getUid().equals(uid))) {
                pod.killAll();
                pod.owner().map(PodFolder.Owner::address).filter(addresses::has).ifPresent(addresses::give);
                Files2.deleteTree(Volumes.memoryFolder(uid));
                Files2.deleteTree(pod.path());
            }
        }
    }

    private void changed(Pod pod) {
        if (closed) {
            return;
        }
        String uid = pod.getMetadata().getUid();
        PodRunner known = runners.get(uid);
        if (known != null) {
            known.update(pod);
            return;
        }
        PodFolder place = new PodFolder(folder.pods().resolve(uid));
        try {
            String address = place.owner().map(PodFolder.Owner::address).orElse("");
            boolean over = pod.getStatus() != null
                    && StatusBuilder.terminal(
                            Optional.ofNullable(pod.getStatus().getPhase()).orElse("Pending"));
            if (!over && !addresses.has(address)) {
                place.killAll(); // what runs there listens on an address that is no longer this node's
                address = addresses.take();
                Files2.privateFolder(place.path());
                place.writeOwner(owner(pod, address));
            }
            PodRunner runner = new PodRunner(this, pod, place, address);
            runners.put(uid, runner);
            runner.start();
        } catch (RuntimeException e) {
            LOG.log(Level.WARNING, "cannot take the pod " + pod.getMetadata().getName() + ": " + e.getMessage(), e);
            event(pod, "Warning", "FailedCreatePodSandBox", e.getMessage());
        }
    }

    private void register() throws InterruptedException {
        ObjectNode node = NodeClient.object();
        node.put("apiVersion", "v1").put("kind", "Node");
        node.putObject("metadata")
                .put("name", options.name())
                .putObject("labels")
                .put("kubernetes.io/hostname", options.name())
                .put("kubernetes.io/os", "linux")
                .put("kubernetes.io/arch", System.getProperty("os.arch"));
        node.set("status", status());
        long deadline = System.nanoTime() + REACHED_WITHIN.toNanos();
        while (true) {
            try {
                try {
                    client.createNode(node);
                } catch (NodeClient.ApiException e) {
                    if (e.code() != 409) {
                        throw e;
                    }
                    client.patchNodeStatus(options.name(), status());
                }
                client.renewLease(options.name());
                return;
            } catch (NodeClient.ApiException e) {
                // Just after its start the API server lacks the namespace of the leases.
                if (System.nanoTime() > deadline) {
                    throw new LocalClusterException(
                            "cannot register the node " + options.name() + " at " + api + ": " + e.getMessage(), e);
                }
                Thread.sleep(200);
            }
        }
    }

    private ObjectNode status() {
        ObjectNode status = NodeClient.object();
        for (String kind : List.of("capacity", "allocatable")) {
            ObjectNode amounts = status.putObject(kind);
            amounts.put("cpu", capacity().get("cpu").toPlainString());
            amounts.put("memory", capacity().get("memory").toPlainString());
            amounts.put(
                    "ephemeral-storage", Long.toString(folder.path().toFile().getTotalSpace()));
            amounts.put("pods", Integer.toString(MOST_PODS));
            if (options.gpus() > 0) {
                amounts.put("nvidia.com/gpu", Integer.toString(options.gpus()));
            }
        }
        var list = status.putArray("addresses");
        list.addObject().put("type", "InternalIP").put("address", logs.address());
        list.addObject().put("type", "Hostname").put("address", options.name());
        status.putObject("daemonEndpoints").putObject("kubeletEndpoint").put("Port", logs.port());
        status.putObject("nodeInfo")
                .put("machineID", options.name())
                .put("systemUUID", options.name())
                .put("bootID", Long.toString(ProcessHandle.current().pid()))
                .put("kernelVersion", System.getProperty("os.version"))
                .put("osImage", "local processes")
                .put("containerRuntimeVersion", "process://1")
                .put("kubeletVersion", "v1.34.4")
                .put("kubeProxyVersion", "")
                .put("operatingSystem", "linux")
                .put("architecture", System.getProperty("os.arch"));
        String now = StatusBuilder.time(Instant.now());
        var conditions = status.putArray("conditions");
        Map.of("Ready", "True", "MemoryPressure", "False", "DiskPressure", "False", "PIDPressure", "False")
                .forEach((type, value) -> conditions
                        .addObject()
                        .put("type", type)
                        .put("status", value)
                        .put("reason", type.equals("Ready") ? "KubeletReady" : "KubeletHasNo" + type)
                        .put("message", "")
                        .put("lastHeartbeatTime", now)
                        .put("lastTransitionTime", now));
        return status;
    }

    /** Renews the lease, and says it is ready where the API says otherwise: a lease alone does not bring a node back. */
    private void beat() {
        Instant leaseAt = Instant.MIN;
        while (!closed) {
            try {
                if (!lost()) {
                    if (Instant.now().isAfter(leaseAt)) {
                        client.renewLease(options.name());
                        leaseAt = Instant.now().plus(LEASE_EVERY);
                    }
                    Optional<JsonNode> node = client.node(options.name());
                    if (node.isEmpty()) {
                        register();
                    } else if (!"True"
                            .equals(Optional.ofNullable(StatusBuilder.conditionsOf(
                                                    node.get().path("status"))
                                            .get("Ready"))
                                    .map(condition -> condition.path("status").asText())
                                    .orElse(""))) {
                        client.patchNodeStatus(options.name(), status());
                        leaseAt = Instant.MIN;
                    }
                }
                Thread.sleep(LOOK_EVERY);
            } catch (NodeClient.ApiException | LocalClusterException e) {
                LOG.log(Level.FINE, "node " + options.name() + ": " + e.getMessage());
                pause();
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private void pause() {
        try {
            Thread.sleep(500);
        } catch (InterruptedException e) {
            closed = true;
        }
    }

    private void sendEvents() {
        try {
            while (true) {
                events.take().run();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // closing
        }
    }

    /** Tells a pod's event; dropped when too many wait. */
    void event(Pod pod, String type, String reason, String message) {
        boolean taken = events.offer(() -> {
            try {
                client.createEvent(
                        pod.getMetadata().getNamespace(), client.podEvent(pod, options.name(), type, reason, message));
            } catch (NodeClient.ApiException e) {
                LOG.log(Level.FINE, "event: " + e.getMessage());
            }
        });
        if (!taken) {
            LOG.log(Level.FINE, "too many events: " + reason + " " + message);
        }
    }

    NodeClient client() {
        return client;
    }

    Images images() {
        return options.images();
    }

    NameService names() {
        return names;
    }

    String name() {
        return options.name();
    }

    String address() {
        return logs.address();
    }

    String apiHost() {
        return api.getHost();
    }

    int apiPort() {
        return api.getPort();
    }

    Map<String, BigDecimal> capacity() {
        return Map.of(
                "cpu",
                BigDecimal.valueOf(options.cpus().orElse(Runtime.getRuntime().availableProcessors())),
                "memory",
                BigDecimal.valueOf(options.memoryBytes().orElseGet(MemoryWatch::machineBytes)));
    }

    boolean lost() {
        return folder.lost();
    }

    Optional<PodRunner> runner(String namespace, String name) {
        return runners.values().stream()
                .filter(runner -> runner.pod().getMetadata().getNamespace().equals(namespace)
                        && runner.pod().getMetadata().getName().equals(name))
                .findFirst();
    }

    Collection<PodRunner> runners() {
        return runners.values();
    }

    /** The pod is over: its address is free, its logs stay until its object goes. */
    void podEnded(PodRunner runner) {
        names.remove(runner);
        if (runner.releaseAddress()) {
            runner.folder().writeOwner(owner(runner.pod(), ""));
            addresses.give(runner.address());
        }
    }

    void podGone(PodRunner runner) {
        runners.remove(runner.pod().getMetadata().getUid());
        if (runner.releaseAddress()) {
            addresses.give(runner.address());
        }
    }

    private static PodFolder.Owner owner(Pod pod, String address) {
        return new PodFolder.Owner(
                pod.getMetadata().getNamespace(),
                pod.getMetadata().getName(),
                pod.getMetadata().getUid(),
                address);
    }

    /** Ends the node and leaves the pods' processes running, as the end of a kubelet does. */
    @Override
    public void close() {
        closed = true;
        try {
            if (informer != null) {
                informer.stop();
            }
            heart.interrupt();
            eventSender.interrupt();
            memory.close();
            for (PodRunner runner : runners.values()) {
                runner.close();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            names.close();
            logs.close();
            proxy.close();
            kubernetes.close();
        }
    }
}
