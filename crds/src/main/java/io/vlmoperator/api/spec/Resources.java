package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Size;
import java.util.Map;

/** Requests and limits of a worker's container, as Kubernetes writes them ({@code cpu: 2}, {@code memory: 8Gi}). */
public record Resources(
        @JsonPropertyDescription("What the scheduler sets aside for the container.") @Size(max = 16)
        Map<String, @Size(max = 32) @Pattern(Patterns.QUANTITY) String> requests,

        @JsonPropertyDescription("The most the container may use.") @Size(max = 16)
        Map<String, @Size(max = 32) @Pattern(Patterns.QUANTITY) String> limits) {
    public Resources {
        requests = Defaults.copy(requests);
        limits = Defaults.copy(limits);
    }
}
