package io.vlmoperator.local;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;

/**
 * A real Kubernetes control plane on loopback with all its state in one folder: etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler as processes of their own that outlive the program that started them.
 */
final class ControlPlane {
    static final String ETCD = "etcd";
    static final String API_SERVER = "kube-apiserver";
    static final String CONTROLLER_MANAGER = "kube-controller-manager";
    static final String SCHEDULER = "kube-scheduler";
    static final List<String> COMPONENTS = List.of(ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER);
    static final String KUBELET_CLIENT = "kube-apiserver-kubelet-client";

    private static final String SERVICE_RANGE = "10.0.0.0/16";
    private static final Duration READY_WITHIN = Duration.ofSeconds(240);
    private static final int STOP_SECONDS = 15;

    private final Path folder;

    private ControlPlane(Path folder) {
        this.folder = folder;
    }

    /** The control plane of a run folder, running or not. */
    static ControlPlane in(Path folder) {
        return new ControlPlane(folder.toAbsolutePath().normalize());
    }

    Path kubeconfig() {
        return folder.resolve("admin.kubeconfig");
    }

    Pki pki() {
        return Pki.openOrCreate(folder.resolve("pki"));
    }

    Component component(String name) {
        return new Component(folder, name);
    }

    /** The address of the API server of a run folder that was started once. */
    String server() {
        int port = Files2.read(folder.resolve("port"))
                .map(text -> Integer.parseInt(text.strip()))
                .orElseThrow(() -> new LocalClusterException(folder
                        + " is no run folder of a local cluster (no file 'port'); start one with: vlm-local start --dir "
                        + folder));
        return "https://127.0.0.1:" + port;
    }

    /**
     * Starts all four and waits until each says it is ready.
     *
     * @param firstPort the first of five ports; empty chooses free ones
     * @param controllers the controller manager's {@code --controllers}
     * @param flags more flags by component name, appended, so that they win
     */
    void start(Path tools, OptionalInt firstPort, String controllers, Map<String, List<String>> flags)
            throws InterruptedException {
        Tools.check(tools);
        Files2.privateFolder(folder);
        try (FileChannel channel =
                        FileChannel.open(folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.tryLock()) {
            if (lock == null) {
                throw new LocalClusterException("another command is starting or stopping the cluster in " + folder);
            }
            for (String name : COMPONENTS) {
                component(name).running().ifPresent(process -> {
                    throw new LocalClusterException(name + " already runs from " + folder + " (process " + process.pid()
                            + "); use it, or stop it first with: vlm-local stop --dir " + folder);
                });
            }
            try {
                startAll(tools, choosePorts(firstPort), controllers, flags);
            } catch (LocalClusterException | InterruptedException e) {
                stopAll(); // half a control plane is of no use
                throw e;
            }
        } catch (OverlappingFileLockException e) {
            throw new LocalClusterException("another thread is starting or stopping the cluster in " + folder, e);
        } catch (IOException e) {
            throw new LocalClusterException("cannot write in " + folder + ": " + e.getMessage(), e);
        }
    }

    private int choosePorts(OptionalInt firstPort) {
        int count = COMPONENTS.size() + 1;
        if (firstPort.isPresent()) {
            int base = firstPort.getAsInt();
            if (base < 1024 || base + count > 65_536) {
                throw new LocalClusterException("--port " + base + " must lie between 1024 and 65531");
            }
            if (!Ports.isFree(base, count)) {
                throw new LocalClusterException("one of the ports " + base + " to " + (base + count - 1)
                        + " is taken; name another first port, or none to have free ones chosen");
            }
            return base;
        }
        // The same as last time where possible, so that old kubeconfigs go on working.
        return Files2.read(folder.resolve("port"))
                .map(text -> Integer.parseInt(text.strip()))
                .filter(port -> Ports.isFree(port, count))
                .orElseGet(() -> Ports.freeRun(count));
    }

    private void startAll(Path tools, int apiPort, String controllers, Map<String, List<String>> flags)
            throws InterruptedException {
        int etcdPort = apiPort + 1;
        int peerPort = apiPort + 2;
        int managerPort = apiPort + 3;
        int schedulerPort = apiPort + 4;

        Process etcd = launch(
                tools,
                ETCD,
                flags,
                List.of(
                        "--name=local",
                        "--data-dir=" + folder.resolve("etcd-data"),
                        "--log-level=warn",
                        "--unsafe-no-fsync",
                        "--listen-client-urls=http://127.0.0.1:" + etcdPort,
                        "--advertise-client-urls=http://127.0.0.1:" + etcdPort,
                        "--listen-peer-urls=http://127.0.0.1:" + peerPort,
                        "--initial-advertise-peer-urls=http://127.0.0.1:" + peerPort,
                        "--initial-cluster=local=http://127.0.0.1:" + peerPort));
        Pki pki = certificates(); // while etcd starts
        Files2.writeAtomically(folder.resolve("port"), apiPort + "\n");
        for (String name : List.of("admin", CONTROLLER_MANAGER, SCHEDULER)) {
            Files2.writeAtomically(folder.resolve(name + ".kubeconfig"), pki.kubeconfig(server(), name));
        }
        try (HttpClient http = HttpClient.newBuilder()
                .sslContext(pki.context())
                .connectTimeout(Duration.ofSeconds(2))
                .build()) {
            await(http, ETCD, etcd, "http://127.0.0.1:" + etcdPort + "/health");
            Process api = launch(tools, API_SERVER, flags, apiServerFlags(pki, apiPort, etcdPort));
            await(http, API_SERVER, api, server() + "/readyz");
            Process manager =
                    launch(tools, CONTROLLER_MANAGER, flags, controllerManagerFlags(pki, managerPort, controllers));
            Process scheduler = launch(tools, SCHEDULER, flags, schedulerFlags(pki, schedulerPort));
            await(http, CONTROLLER_MANAGER, manager, "https://127.0.0.1:" + managerPort + "/healthz");
            await(http, SCHEDULER, scheduler, "https://127.0.0.1:" + schedulerPort + "/healthz");
        }
    }

    private Pki certificates() {
        Pki pki = pki();
        List<String> loopback = List.of("localhost", "127.0.0.1");
        List<CompletableFuture<Void>> all = new ArrayList<>(); // drawing RSA keys takes a moment each
        all.add(CompletableFuture.runAsync(() -> pki.issue(
                "apiserver",
                "CN=kube-apiserver",
                List.of(
                        "localhost",
                        "kubernetes",
                        "kubernetes.default",
                        "kubernetes.default.svc",
                        "kubernetes.default.svc.cluster.local",
                        "127.0.0.1",
                        "10.0.0.1"))));
        all.add(CompletableFuture.runAsync(() -> pki.issue("admin", "O=system:masters,CN=admin", List.of())));
        for (String name : List.of(CONTROLLER_MANAGER, SCHEDULER)) {
            all.add(CompletableFuture.runAsync(() -> pki.issue(name, "CN=system:" + name, loopback)));
        }
        all.add(CompletableFuture.runAsync(
                () -> pki.issue(KUBELET_CLIENT, "O=kubeadm:cluster-admins,CN=" + KUBELET_CLIENT, List.of())));
        all.forEach(CompletableFuture::join);
        return pki;
    }

    private List<String> apiServerFlags(Pki pki, int port, int etcdPort) {
        return List.of(
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--secure-port=" + port,
                // It would publish its loopback address in the Endpoints "kubernetes", which validation refuses.
                "--endpoint-reconciler-type=none",
                "--etcd-servers=http://127.0.0.1:" + etcdPort,
                "--storage-media-type=application/vnd.kubernetes.protobuf",
                "--tls-cert-file=" + pki.certificate("apiserver"),
                "--tls-private-key-file=" + pki.key("apiserver"),
                "--client-ca-file=" + pki.authority(),
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=" + pki.file("sa.pub"),
                "--service-account-signing-key-file=" + pki.file("sa.key"),
                "--service-cluster-ip-range=" + SERVICE_RANGE,
                "--kubelet-certificate-authority=" + pki.authority(),
                "--kubelet-preferred-address-types=InternalIP",
                "--kubelet-client-certificate=" + pki.certificate(KUBELET_CLIENT),
                "--kubelet-client-key=" + pki.key(KUBELET_CLIENT),
                "--requestheader-client-ca-file=" + pki.authority(),
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--cert-dir=" + folder.resolve("pki"));
    }

    private List<String> controllerManagerFlags(Pki pki, int port, String controllers) {
        Path kubeconfig = folder.resolve(CONTROLLER_MANAGER + ".kubeconfig");
        return List.of(
                "--bind-address=127.0.0.1",
                "--secure-port=" + port,
                "--leader-elect=false",
                "--kubeconfig=" + kubeconfig,
                "--authentication-kubeconfig=" + kubeconfig,
                "--authorization-kubeconfig=" + kubeconfig,
                "--tls-cert-file=" + pki.certificate(CONTROLLER_MANAGER),
                "--tls-private-key-file=" + pki.key(CONTROLLER_MANAGER),
                "--client-ca-file=" + pki.authority(),
                "--root-ca-file=" + pki.authority(),
                "--service-account-private-key-file=" + pki.file("sa.key"),
                "--use-service-account-credentials=true",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--concurrent-job-syncs=20",
                "--controllers=" + controllers);
    }

    private List<String> schedulerFlags(Pki pki, int port) {
        Path kubeconfig = folder.resolve(SCHEDULER + ".kubeconfig");
        return List.of(
                "--bind-address=127.0.0.1",
                "--secure-port=" + port,
                "--leader-elect=false",
                "--kubeconfig=" + kubeconfig,
                "--authentication-kubeconfig=" + kubeconfig,
                "--authorization-kubeconfig=" + kubeconfig,
                "--client-ca-file=" + pki.authority(),
                "--tls-cert-file=" + pki.certificate(SCHEDULER),
                "--tls-private-key-file=" + pki.key(SCHEDULER),
                "--kube-api-qps=500",
                "--kube-api-burst=1000");
    }

    private Process launch(Path tools, String name, Map<String, List<String>> more, List<String> flags) {
        List<String> command = new ArrayList<>();
        command.add(tools.resolve(name).toString());
        command.addAll(flags);
        command.addAll(more.getOrDefault(name, List.of()));
        return component(name).launch(command);
    }

    private void await(HttpClient http, String name, Process process, String url) throws InterruptedException {
        long deadline = System.nanoTime() + READY_WITHIN.toNanos();
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .timeout(Duration.ofSeconds(2))
                .build();
        String last = "no answer";
        while (System.nanoTime() < deadline) {
            if (!process.isAlive()) {
                throw new LocalClusterException(name + " ended with exit code " + process.exitValue() + "; the end of "
                        + component(name).log() + ":\n" + component(name).logTail());
            }
            try {
                int status = http.send(request, HttpResponse.BodyHandlers.discarding())
                        .statusCode();
                if (status == 200) {
                    return;
                }
                last = "status " + status;
            } catch (IOException e) {
                last = e.toString();
            }
            Thread.sleep(50);
        }
        throw new LocalClusterException(
                name + " was not ready within " + READY_WITHIN.toSeconds() + " s (" + last + "); the end of "
                        + component(name).log() + ":\n" + component(name).logTail());
    }

    /** Ends what runs, last started first. What is stopped already is passed over. */
    void stopAll() throws InterruptedException {
        for (String name : COMPONENTS.reversed()) {
            component(name).end(STOP_SECONDS);
        }
    }

    /** Its parts, in the order of their start. */
    List<Component> components() {
        return COMPONENTS.stream().map(this::component).toList();
    }

    /** Whether all four run. */
    boolean isRunning() {
        return COMPONENTS.stream().allMatch(name -> component(name).running().isPresent());
    }

    /** One line per component: process, resident and peak memory. */
    List<String> status() {
        return COMPONENTS.stream().map(name -> describe(component(name))).toList();
    }

    static String describe(Component component) {
        Optional<Proc.Identity> process = component.running();
        return process.map(identity -> "%-24s pid %-8d rss %5d MiB  peak %5d MiB"
                        .formatted(
                                component.name(),
                                identity.pid(),
                                identity.statusKiB("VmRSS").orElse(0) / 1024,
                                identity.statusKiB("VmHWM").orElse(0) / 1024))
                .orElseGet(() -> "%-24s stopped".formatted(component.name()));
    }

    /** Throws with what to do when the folder is not a run folder. */
    void requireRunFolder() {
        if (!Files.isDirectory(folder)) {
            throw new LocalClusterException(
                    "no folder " + folder + "; start a cluster with: vlm-local start --dir " + folder);
        }
        server();
    }
}
