package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceFieldSelector;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a pod may read about itself.
 *
 * @param pod as the API server shows it
 * @param podIp the address of its status (never one to listen on here)
 * @param hostIp the node's address
 * @param capacity the node's CPUs and bytes, which stand in for a limit that is not set
 */
record DownwardApi(Pod pod, String podIp, String hostIp, Map<String, BigDecimal> capacity) {
    private static final Pattern ENTRY = Pattern.compile("metadata\\.(labels|annotations)\\['([^']+)']");

    /**
     * The value of a {@code fieldRef}.
     *
     * @throws Unsupported when there is no such field
     */
    String field(String path) throws Unsupported {
        var metadata = pod.getMetadata();
        Map<String, String> labels = Optional.ofNullable(metadata.getLabels()).orElse(Map.of());
        Map<String, String> annotations =
                Optional.ofNullable(metadata.getAnnotations()).orElse(Map.of());
        Matcher entry = ENTRY.matcher(path);
        if (entry.matches()) {
            return (entry.group(1).equals("labels") ? labels : annotations).getOrDefault(entry.group(2), "");
        }
        return switch (path) {
            case "metadata.name" -> metadata.getName();
            case "metadata.namespace" -> metadata.getNamespace();
            case "metadata.uid" -> metadata.getUid();
            case "metadata.labels" -> lines(labels);
            case "metadata.annotations" -> lines(annotations);
            case "spec.nodeName" -> pod.getSpec().getNodeName();
            case "spec.serviceAccountName" ->
                Optional.ofNullable(pod.getSpec().getServiceAccountName()).orElse("default");
            case "status.podIP", "status.podIPs" -> podIp;
            case "status.hostIP", "status.hostIPs" -> hostIp;
            default -> throw new Unsupported("fieldRef " + path + " is not known to this node");
        };
    }

    /** The value of a {@code resourceFieldRef}, rounded up to the divisor. */
    String resource(ResourceFieldSelector selector, Container container) throws Unsupported {
        String[] parts = selector.getResource().split("\\.", 2);
        if (parts.length != 2) {
            throw new Unsupported("resourceFieldRef " + selector.getResource() + " is not known to this node");
        }
        ResourceRequirements resources =
                Optional.ofNullable(container.getResources()).orElseGet(ResourceRequirements::new);
        Map<String, Quantity> limits =
                Optional.ofNullable(resources.getLimits()).orElse(Map.of());
        Map<String, Quantity> requests =
                Optional.ofNullable(resources.getRequests()).orElse(Map.of());
        Quantity quantity = (parts[0].equals("limits") ? limits : requests).get(parts[1]);
        BigDecimal value;
        if (quantity != null) {
            value = Quantity.getAmountInBytes(quantity);
        } else if (parts[0].equals("limits")) {
            value = capacity.getOrDefault(parts[1], BigDecimal.ZERO);
        } else {
            value = BigDecimal.ZERO;
        }
        BigDecimal divisor = Optional.ofNullable(selector.getDivisor())
                .map(Quantity::getAmountInBytes)
                .filter(amount -> amount.signum() > 0)
                .orElse(BigDecimal.ONE);
        return value.divide(divisor, 0, RoundingMode.CEILING).toPlainString();
    }

    private static String lines(Map<String, String> map) {
        return new TreeMap<>(map)
                .entrySet().stream()
                        .map(entry -> entry.getKey() + "=\"" + escape(entry.getValue()) + "\"")
                        .collect(Collectors.joining("\n"));
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    }
}
