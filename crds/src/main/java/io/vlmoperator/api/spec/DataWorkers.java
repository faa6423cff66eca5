package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Size;
import java.util.List;
import java.util.Map;

/** The pods that index, score and pack: shards are dealt to {@code count} of them. */
public record DataWorkers(
        @JsonPropertyDescription("Pods; shards are dealt to them.") @Default("1") @Min(1) @Max(1024)
        Integer count,

        @JsonPropertyDescription("Requests and limits of each pod.")
        Resources resources,

        @JsonPropertyDescription("Labels a node must have.") @Size(max = 16)
        Map<String, @Size(max = 63) String> nodeSelector,

        @JsonPropertyDescription("Taints the pods tolerate.") @Size(max = 16)
        List<Toleration> tolerations,

        @JsonPropertyDescription("Environment variables of the pods.") @Size(max = 32)
        List<EnvVar> env,

        @JsonPropertyDescription(
                "Gives each stage of the work (fetch, index, score, pack) a Job of its own, one after the other, so that only scoring has GPUs; {} does so with equal pods. Missing: one Job does it all.")
        DataStages stages,

        @JsonPropertyDescription("The queue that admits the pods; with stages, those of each stage.")
        Workers.Queue queue) {
    public static final DataWorkers DEFAULT = new DataWorkers(null, null, null, null, null, null, null);

    public DataWorkers {
        count = Defaults.or(count, 1);
        resources = Defaults.or(resources, new Resources(null, null));
        nodeSelector = Defaults.copy(nodeSelector);
        tolerations = Defaults.copy(tolerations);
        env = Defaults.copy(env);
    }
}
