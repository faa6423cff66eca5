package io.vlmoperator.local.node;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What a cluster's DNS would answer, as a hosts file. The JVM option {@code jdk.net.hosts.file} reads it at every lookup, in place of all
 * other resolution.
 */
final class HostsFile {
    private HostsFile() {}

    /**
     * A Service and who answers for it.
     *
     * @param headless every endpoint is listed; otherwise the first one stands for the cluster address, which nothing here routes
     */
    record Service(String namespace, String name, boolean headless, List<Endpoint> endpoints) {}

    /**
     * One ready endpoint.
     *
     * @param hostname the pod's host name where it has one of its own below the Service, or ""
     */
    record Endpoint(String address, String hostname) {}

    /** The lines that are the same for every pod: localhost, the API server, all Services. */
    static String common(List<Service> services) {
        StringBuilder out = new StringBuilder("127.0.0.1 localhost\n");
        line(out, "127.0.0.1", names("default", "kubernetes"));
        Map<String, Service> sorted = new TreeMap<>();
        services.forEach(service -> sorted.put(service.namespace() + "/" + service.name(), service));
        sorted.values().forEach(service -> {
            List<String> names = names(service.namespace(), service.name());
            List<Endpoint> shown = service.headless()
                    ? service.endpoints()
                    : service.endpoints().stream().limit(1).toList();
            shown.forEach(endpoint -> line(out, endpoint.address(), names));
            service.endpoints().stream()
                    .filter(endpoint -> !endpoint.hostname().isEmpty())
                    .forEach(endpoint -> line(
                            out,
                            endpoint.address(),
                            names.stream()
                                    .map(name -> endpoint.hostname() + "." + name)
                                    .toList()));
        });
        return out.toString();
    }

    /**
     * A pod's whole file. Its own name comes first. A Service of its own namespace also answers to its bare name, which the common part
     * leaves out.
     */
    static String forPod(String hostname, String subdomain, String namespace, String address, String common) {
        List<String> own = new ArrayList<>(List.of(hostname));
        if (!subdomain.isEmpty()) {
            names(namespace, subdomain).forEach(name -> own.add(hostname + "." + name));
        }
        StringBuilder out = new StringBuilder();
        line(out, address, own);
        common.lines().forEach(text -> {
            List<String> fields = List.of(text.split(" "));
            if (own.size() < 2 || !fields.get(1).equals(own.get(1))) { // its own line stands already
                out.append(text).append('\n');
            }
            // The search path of a pod: its own namespace's Services by their short names.
            String bare = fields.stream()
                    .skip(1)
                    .filter(name -> name.endsWith("." + namespace))
                    .map(name -> name.substring(0, name.length() - namespace.length() - 1))
                    .filter(name -> !name.equals(hostname))
                    .collect(Collectors.joining(" "));
            if (!bare.isEmpty()) {
                out.append(fields.getFirst()).append(' ').append(bare).append('\n');
            }
        });
        return out.toString();
    }

    /** {@code name.ns}, {@code name.ns.svc}, {@code name.ns.svc.cluster.local}. */
    private static List<String> names(String namespace, String name) {
        String base = name + "." + namespace;
        return List.of(base, base + ".svc", base + ".svc.cluster.local");
    }

    private static void line(StringBuilder out, String address, List<String> names) {
        out.append(address).append(' ').append(String.join(" ", names)).append('\n');
    }
}
