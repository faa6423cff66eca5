package io.vlmoperator.api.spec;

import java.util.List;
import java.util.Map;

/** The pods that index, score and pack: shards are dealt to {@code count} of them. */
public record DataWorkers(
        Integer count,
        Resources resources,
        Map<String, String> nodeSelector,
        List<Toleration> tolerations,
        List<EnvVar> env) {
    public DataWorkers {
        count = Defaults.or(count, 1);
        resources = Defaults.or(resources, new Resources(null, null));
        nodeSelector = Defaults.copy(nodeSelector);
        tolerations = Defaults.copy(tolerations);
        env = Defaults.copy(env);
    }
}
