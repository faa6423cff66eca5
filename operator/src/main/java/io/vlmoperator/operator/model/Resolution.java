package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.FrozenJob.ResolvedCheckpoint;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import java.util.Optional;

/** What the references of a spec lead to. */
public sealed interface Resolution {
    /**
     * All found and ready.
     *
     * @param locations further places that the workers read (the shards behind a Dataset's index)
     */
    record Ready(List<ResolvedDataset> datasets, Optional<ResolvedCheckpoint> checkpoint, List<String> locations)
            implements Resolution {
        public static final Ready NOTHING = new Ready(List.of(), Optional.empty(), List.of());

        public Ready {
            datasets = List.copyOf(datasets);
            locations = List.copyOf(locations);
        }
    }

    /**
     * @param needsPerson waiting alone will not help
     */
    record Blocked(Reason reason, String message, boolean needsPerson) implements Resolution {}
}
