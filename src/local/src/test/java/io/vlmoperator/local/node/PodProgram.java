package io.vlmoperator.local.node;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;

/** A program for pods of the tests: resolves names and, with no settings of its own, asks the API server who it is. */
final class PodProgram {
    private PodProgram() {}

    public static void main(String... names) throws InterruptedException {
        for (String name : names) {
            System.out.println(name + " = " + resolve(name));
        }
        System.out.println("self = " + resolve(System.getenv("HOSTNAME")));
        try (KubernetesClient client = new KubernetesClientBuilder().build()) {
            System.out.println("namespace = " + client.getNamespace());
            try {
                System.out.println(
                        "configmaps = " + client.configMaps().list().getItems().size());
            } catch (KubernetesClientException e) {
                System.out.println("configmaps refused " + e.getCode() + " " + e.getMessage());
            }
        }
    }

    /** Tries for a while: the others' names come when they run. */
    private static String resolve(String name) throws InterruptedException {
        for (int attempt = 0; attempt < 100; attempt++) {
            try {
                return Arrays.stream(InetAddress.getAllByName(name))
                        .map(InetAddress::getHostAddress)
                        .toList()
                        .toString();
            } catch (UnknownHostException e) {
                Thread.sleep(200);
            }
        }
        return "unknown";
    }
}
