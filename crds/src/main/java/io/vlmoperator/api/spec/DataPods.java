package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Size;
import java.util.List;
import java.util.Map;

/** The pods of one stage of a Dataset; what is missing is as in {@code workers}. */
public record DataPods(
        @JsonPropertyDescription("Pods; shards are dealt to them. Missing: workers.count; one pod packs.")
        @Min(1)
        @Max(1024)
        Integer count,

        @JsonPropertyDescription("GPUs of each pod, for score; shards are dealt to one process a GPU.")
        @Default("0")
        @Min(0)
        @Max(64)
        Integer gpus,

        @JsonPropertyDescription("Name of the GPU resource. Missing: nvidia.com/gpu.")
        @Size(min = 1, max = 317)
        @Pattern(Patterns.QUALIFIED_NAME)
        String gpuResource,

        @JsonPropertyDescription("Requests and limits of each pod. Missing: workers.resources.")
        Resources resources,

        @JsonPropertyDescription("Labels a node must have. Missing: workers.nodeSelector.") @Size(max = 16)
        Map<String, @Size(max = 63) String> nodeSelector,

        @JsonPropertyDescription("Taints the pods tolerate. Missing: workers.tolerations.") @Size(max = 16)
        List<Toleration> tolerations) {
    public DataPods {
        gpus = Defaults.or(gpus, 0);
        nodeSelector = nodeSelector == null ? null : Defaults.copy(nodeSelector);
        tolerations = tolerations == null ? null : Defaults.copy(tolerations);
    }
}
