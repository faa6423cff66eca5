package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import java.util.List;

/** The newest and the best checkpoint, and the newest few. */
public record Checkpoints(
        @JsonPropertyDescription("The newest.") Checkpoint latest,

        @JsonPropertyDescription("The best by checkpoints.keep.best.")
        Checkpoint best,

        @JsonPropertyDescription("The newest few, newest first.") @Size(max = Limits.RECENT)
        List<Checkpoint> recent) {}
