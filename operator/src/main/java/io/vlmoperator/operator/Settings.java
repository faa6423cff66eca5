package io.vlmoperator.operator;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What the environment says.
 *
 * @param image of the trainer
 * @param namespace the operator's own
 * @param service name of its Service
 * @param instance name of this process
 * @param namespaces watched; empty: all
 */
public record Settings(
        String image, String namespace, String service, int httpsPort, String instance, Set<String> namespaces) {
    private static final Path NAMESPACE_FILE = Path.of("/var/run/secrets/kubernetes.io/serviceaccount/namespace");

    public Settings {
        namespaces = Set.copyOf(namespaces);
    }

    /** @throws IllegalArgumentException with what to set, when something is missing */
    public static Settings of(Map<String, String> env) {
        var image = env.getOrDefault("VLM_TRAINER_IMAGE", "").strip();
        if (image.isEmpty()) {
            throw new IllegalArgumentException("VLM_TRAINER_IMAGE is not set: the image that runs the workers");
        }
        var namespaces = Arrays.stream(
                        env.getOrDefault("VLM_WATCH_NAMESPACES", "").split(","))
                .map(String::strip)
                .filter(name -> !name.isEmpty())
                .collect(Collectors.toUnmodifiableSet());
        return new Settings(
                image,
                namespace(env),
                env.getOrDefault("VLM_SERVICE_NAME", "vlm-operator"),
                Integer.parseInt(env.getOrDefault("VLM_HTTPS_PORT", "8443")),
                env.getOrDefault("HOSTNAME", hostName()),
                namespaces);
    }

    private static String namespace(Map<String, String> env) {
        var set = env.getOrDefault("VLM_NAMESPACE", "").strip();
        if (!set.isEmpty()) {
            return set;
        }
        try {
            return Files.readString(NAMESPACE_FILE).strip();
        } catch (IOException e) {
            throw new IllegalArgumentException(
                    "VLM_NAMESPACE is not set and " + NAMESPACE_FILE + " can't be read: the operator's own namespace",
                    e);
        }
    }

    private static String hostName() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "vlm-operator";
        }
    }

    /** Where workers reach the progress endpoint. */
    public String progressUrl() {
        return "https://" + service + "." + namespace + ".svc:" + httpsPort;
    }
}
