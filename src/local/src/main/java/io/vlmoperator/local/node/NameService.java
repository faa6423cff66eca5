package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.discovery.v1.Endpoint;
import io.fabric8.kubernetes.api.model.discovery.v1.EndpointSlice;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.vlmoperator.local.Files2;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Stands in for the cluster's DNS: keeps the hosts file of each pod of this node equal to what Services and EndpointSlices say. It reads
 * them with the rights of {@code system:kube-proxy}, which every real node has too.
 */
final class NameService implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(NameService.class.getName());
    private static final String SECURITY = "networkaddress.cache.ttl=1\nnetworkaddress.cache.negative.ttl=0\n";

    private final Map<PodRunner, Entry> pods = new ConcurrentHashMap<>();
    private final Semaphore changed = new Semaphore(0);
    private final Path security;
    private final SharedIndexInformer<Service> services;
    private final SharedIndexInformer<EndpointSlice> slices;
    private final Thread writer;

    private record Entry(String hostname, String subdomain) {}

    NameService(KubernetesClient client, Path folder) {
        security = Files2.privateFolder(folder).resolve("java.security");
        Files2.writeAtomically(security, SECURITY.getBytes(StandardCharsets.UTF_8), "rw-r--r--");
        services = client.services().inAnyNamespace().runnableInformer(0);
        slices = client.discovery().v1().endpointSlices().inAnyNamespace().runnableInformer(0);
        services.addEventHandler(handler());
        slices.addEventHandler(handler());
        services.exceptionHandler((begun, problem) -> true); // the API server may be away: try for ever
        slices.exceptionHandler((begun, problem) -> true);
        writer = Thread.ofVirtual().name("hosts files").unstarted(this::run);
    }

    void start() {
        services.start();
        slices.start();
        writer.start();
    }

    private <T> ResourceEventHandler<T> handler() {
        return new ResourceEventHandler<>() {
            @Override
            public void onAdd(T added) {
                changed.release();
            }

            @Override
            public void onUpdate(T before, T after) {
                changed.release();
            }

            @Override
            public void onDelete(T removed, boolean unknown) {
                changed.release();
            }
        };
    }

    private void run() {
        try {
            while (true) {
                changed.acquire();
                changed.drainPermits();
                String common = common();
                pods.forEach((pod, entry) -> write(pod, entry, common));
                Thread.sleep(50); // many changes come together
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // the node is closing
        }
    }

    /** From now on the pod has a hosts file; it is there when this returns. */
    void add(PodRunner pod, String hostname, String subdomain) {
        Entry entry = new Entry(hostname, subdomain);
        pods.put(pod, entry);
        write(pod, entry, common());
    }

    void remove(PodRunner pod) {
        pods.remove(pod);
    }

    /** The options that make a JVM of a pod use its hosts file, and forget at once what it could not resolve. */
    String javaOptions(PodFolder folder) {
        return option("-Djdk.net.hosts.file=" + folder.hosts()) + " "
                + option("-Djava.security.properties=" + security);
    }

    private static String option(String text) {
        return text.contains(" ") ? "\"" + text + "\"" : text;
    }

    private String common() {
        List<HostsFile.Service> all = new ArrayList<>();
        Map<String, List<EndpointSlice>> byService = new HashMap<>();
        for (EndpointSlice slice : slices.getStore().list()) {
            String service = Optional.ofNullable(slice.getMetadata().getLabels())
                    .orElse(Map.of())
                    .get("kubernetes.io/service-name");
            if (service != null) {
                byService
                        .computeIfAbsent(slice.getMetadata().getNamespace() + "/" + service, key -> new ArrayList<>())
                        .add(slice);
            }
        }
        for (Service service : services.getStore().list()) {
            String namespace = service.getMetadata().getNamespace();
            String name = service.getMetadata().getName();
            if (namespace.equals("default") && name.equals("kubernetes")) {
                continue; // the API server has its own line
            }
            List<HostsFile.Endpoint> endpoints = byService.getOrDefault(namespace + "/" + name, List.of()).stream()
                    .flatMap(slice -> Optional.ofNullable(slice.getEndpoints()).orElse(List.of()).stream())
                    .filter(NameService::isReady)
                    .flatMap(endpoint -> endpoint.getAddresses().stream()
                            .map(address -> new HostsFile.Endpoint(
                                    Addresses.loopback(address),
                                    Optional.ofNullable(endpoint.getHostname()).orElse(""))))
                    .distinct()
                    .sorted(Comparator.comparing(HostsFile.Endpoint::address))
                    .toList();
            boolean headless = "None".equals(service.getSpec().getClusterIP());
            all.add(new HostsFile.Service(namespace, name, headless, endpoints));
        }
        return HostsFile.common(all);
    }

    private static boolean isReady(Endpoint endpoint) {
        // Not-ready addresses that are to be published are marked ready by the endpoint slice controller.
        return endpoint.getConditions() == null
                || !Boolean.FALSE.equals(endpoint.getConditions().getReady());
    }

    private static void write(PodRunner pod, Entry entry, String common) {
        String text = HostsFile.forPod(
                entry.hostname(), entry.subdomain(), pod.pod().getMetadata().getNamespace(), pod.address(), common);
        Path file = pod.folder().hosts();
        try {
            if (!Files2.read(file).map(text::equals).orElse(false) && Files.isDirectory(file.getParent())) {
                Files2.writeAtomically(file, text.getBytes(StandardCharsets.UTF_8), "rw-r--r--");
            }
        } catch (java.io.UncheckedIOException e) {
            LOG.log(Level.FINE, "hosts file of a pod that is going", e);
        }
    }

    @Override
    public void close() {
        services.stop();
        slices.stop();
        writer.interrupt();
    }
}
