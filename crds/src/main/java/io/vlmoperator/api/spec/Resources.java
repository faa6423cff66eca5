package io.vlmoperator.api.spec;

import java.util.Map;

/** Requests and limits of a worker's container, as Kubernetes writes them ({@code cpu: 2}, {@code memory: 8Gi}). */
public record Resources(Map<String, String> requests, Map<String, String> limits) {
    public Resources {
        requests = Defaults.copy(requests);
        limits = Defaults.copy(limits);
    }
}
