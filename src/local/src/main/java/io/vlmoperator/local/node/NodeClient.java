package io.vlmoperator.local.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.PersistentVolume;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.http.HttpRequest;
import io.fabric8.kubernetes.client.http.HttpResponse;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/**
 * The requests a node makes, and no others: each is one that the Node authorizer grants to {@code system:node:NAME}. The typed client
 * reads before it patches, which a node may not do for {@code pods/status}, so they are sent plainly.
 */
final class NodeClient {
    private static final int SECONDS = 15;
    private static final String STRATEGIC = "application/strategic-merge-patch+json";
    private static final String MERGE = "application/merge-patch+json";
    private static final String JSON = "application/json";

    private final KubernetesClient client;
    private final KubernetesSerialization serialization;
    private final BooleanSupplier lost;

    /**
     * @param client with the node's certificate
     * @param lost while true nothing is sent: the node plays dead
     */
    NodeClient(KubernetesClient client, BooleanSupplier lost) {
        this.client = client;
        this.serialization = client.getKubernetesSerialization();
        this.lost = lost;
    }

    /** The API server refused, or did not answer (code 0). */
    static final class ApiException extends Exception {
        private static final long serialVersionUID = 1L;
        private final int code;

        ApiException(int code, String message) {
            super(message);
            this.code = code;
        }

        int code() {
            return code;
        }
    }

    /** A token and when it must be renewed. */
    record Token(String value, Instant renewAt) {}

    Optional<ConfigMap> configMap(String namespace, String name) throws ApiException {
        return get("/api/v1/namespaces/" + namespace + "/configmaps/" + name, ConfigMap.class);
    }

    Optional<Secret> secret(String namespace, String name) throws ApiException {
        return get("/api/v1/namespaces/" + namespace + "/secrets/" + name, Secret.class);
    }

    Optional<PersistentVolumeClaim> claim(String namespace, String name) throws ApiException {
        return get("/api/v1/namespaces/" + namespace + "/persistentvolumeclaims/" + name, PersistentVolumeClaim.class);
    }

    Optional<PersistentVolume> volume(String name) throws ApiException {
        return get("/api/v1/persistentvolumes/" + name, PersistentVolume.class);
    }

    /** A token for the pod's own account, bound to the pod. */
    Token token(Pod pod, String audience, long seconds) throws ApiException {
        ObjectNode request = object();
        request.put("apiVersion", "authentication.k8s.io/v1").put("kind", "TokenRequest");
        ObjectNode spec = request.putObject("spec").put("expirationSeconds", seconds);
        if (!audience.isEmpty()) {
            spec.putArray("audiences").add(audience);
        }
        spec.putObject("boundObjectRef")
                .put("apiVersion", "v1")
                .put("kind", "Pod")
                .put("name", pod.getMetadata().getName())
                .put("uid", pod.getMetadata().getUid());
        JsonNode answer = send(
                "POST",
                "/api/v1/namespaces/" + pod.getMetadata().getNamespace() + "/serviceaccounts/"
                        + Optional.ofNullable(pod.getSpec().getServiceAccountName())
                                .orElse("default") + "/token",
                JSON,
                request);
        Instant expires =
                Instant.parse(answer.path("status").path("expirationTimestamp").asText());
        // As the kubelet: after 80 % of its life, and within a day.
        long life = Math.min(
                Duration.between(Instant.now(), expires).toSeconds() * 8 / 10,
                Duration.ofDays(1).toSeconds());
        return new Token(
                answer.path("status").path("token").asText(), Instant.now().plusSeconds(Math.max(1, life)));
    }

    /** Writes a pod's status; a pod of that name with another uid is left alone. */
    void patchPodStatus(Pod pod, ObjectNode status) throws ApiException {
        ObjectNode patch = object();
        patch.putObject("metadata").put("uid", pod.getMetadata().getUid());
        patch.set("status", status);
        send("PATCH", podPath(pod) + "/status", STRATEGIC, patch);
    }

    /** Removes a pod whose processes have ended. */
    void deletePod(Pod pod) throws ApiException {
        ObjectNode options = object();
        options.put("apiVersion", "v1").put("kind", "DeleteOptions").put("gracePeriodSeconds", 0);
        options.putObject("preconditions").put("uid", pod.getMetadata().getUid());
        send("DELETE", podPath(pod), JSON, options);
    }

    void createEvent(String namespace, ObjectNode event) throws ApiException {
        send("POST", "/api/v1/namespaces/" + namespace + "/events", JSON, event);
    }

    Optional<JsonNode> node(String name) throws ApiException {
        return get("/api/v1/nodes/" + name, JsonNode.class);
    }

    void createNode(ObjectNode node) throws ApiException {
        send("POST", "/api/v1/nodes", JSON, node);
    }

    void patchNodeStatus(String name, JsonNode status) throws ApiException {
        ObjectNode patch = object();
        patch.set("status", status);
        send("PATCH", "/api/v1/nodes/" + name + "/status", STRATEGIC, patch);
    }

    /** Renews the node's lease, or creates it. */
    void renewLease(String name) throws ApiException {
        String path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        ObjectNode lease = object();
        lease.putObject("spec")
                .put("holderIdentity", name)
                .put("leaseDurationSeconds", 40)
                .put(
                        "renewTime",
                        Instant.now()
                                .truncatedTo(java.time.temporal.ChronoUnit.MICROS)
                                .toString());
        try {
            send("PATCH", path + "/" + name, MERGE, lease);
        } catch (ApiException e) {
            if (e.code() != 404) {
                throw e;
            }
            lease.put("apiVersion", "coordination.k8s.io/v1").put("kind", "Lease");
            lease.putObject("metadata").put("name", name);
            send("POST", path, JSON, lease);
        }
    }

    /** A Kubernetes object as a tree, without empty parts. */
    JsonNode tree(Object value) {
        return serialization.convertValue(value, JsonNode.class);
    }

    static ObjectNode object() {
        return JsonNodeFactory.instance.objectNode();
    }

    private static String podPath(Pod pod) {
        return "/api/v1/namespaces/" + pod.getMetadata().getNamespace() + "/pods/"
                + pod.getMetadata().getName();
    }

    private <T> Optional<T> get(String path, Class<T> type) throws ApiException {
        try {
            return Optional.of(serialization.convertValue(send("GET", path, JSON, null), type));
        } catch (ApiException e) {
            if (e.code() == 404) {
                return Optional.empty();
            }
            throw e;
        }
    }

    private JsonNode send(String method, String path, String contentType, JsonNode body) throws ApiException {
        if (lost.getAsBoolean()) {
            throw new ApiException(0, "this node is lost");
        }
        String base = client.getMasterUrl().toString().replaceAll("/$", "");
        HttpRequest.Builder builder =
                client.getHttpClient().newHttpRequestBuilder().uri(URI.create(base + path));
        builder.timeout(SECONDS, TimeUnit.SECONDS);
        builder.method(method, contentType, body == null ? null : body.toString());
        try {
            HttpResponse<String> response = client.getHttpClient()
                    .sendAsync(builder.build(), String.class)
                    .get(SECONDS + 5, TimeUnit.SECONDS);
            String text = Optional.ofNullable(response.bodyString()).orElse("");
            if (response.code() >= 300) {
                throw new ApiException(response.code(), message(text, response.code()));
            }
            return text.isEmpty() ? object() : serialization.unmarshal(text, JsonNode.class);
        } catch (ExecutionException e) {
            throw new ApiException(0, "no answer from the API server: " + e.getCause());
        } catch (TimeoutException e) {
            throw new ApiException(0, "no answer from the API server within " + SECONDS + " s");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ApiException(0, "interrupted");
        } catch (java.io.IOException e) {
            throw new ApiException(0, "unreadable answer: " + e.getMessage());
        }
    }

    private String message(String text, int code) {
        try {
            String message = serialization
                    .unmarshal(text, JsonNode.class)
                    .path("message")
                    .asText();
            return message.isEmpty() ? "status " + code : message;
        } catch (RuntimeException e) {
            return "status " + code;
        }
    }

    /** The API versions and kinds of involved objects are always a pod's here. */
    ObjectNode podEvent(Pod pod, String source, String type, String reason, String message) {
        ObjectNode event = object();
        event.put("apiVersion", "v1").put("kind", "Event");
        event.putObject("metadata")
                .put("generateName", pod.getMetadata().getName() + ".")
                .put("namespace", pod.getMetadata().getNamespace());
        event.putObject("involvedObject")
                .put("apiVersion", "v1")
                .put("kind", "Pod")
                .put("namespace", pod.getMetadata().getNamespace())
                .put("name", pod.getMetadata().getName())
                .put("uid", pod.getMetadata().getUid());
        String now =
                Instant.now().truncatedTo(java.time.temporal.ChronoUnit.SECONDS).toString();
        event.putObject("source").put("component", "kubelet").put("host", source);
        event.put("type", type)
                .put("reason", reason)
                .put("message", message.substring(0, Math.min(1000, message.length())));
        event.put("firstTimestamp", now).put("lastTimestamp", now).put("count", 1);
        event.put("reportingComponent", "kubelet").put("reportingInstance", source);
        return event;
    }
}
