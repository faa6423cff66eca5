package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;

/** A complete checkpoint in storage. */
public record Checkpoint(
        @JsonPropertyDescription("Optimizer steps done.") Long step,

        @JsonPropertyDescription("When it was complete (RFC 3339).") @Size(max = Limits.TIME)
        String time,

        @JsonPropertyDescription("Its folder.") @Size(max = Limits.LOCATION)
        String location,

        @JsonPropertyDescription("SHA-256 of its manifest, as sha256:...") @Size(max = Limits.DIGEST)
        String digest,

        @JsonPropertyDescription("Size of its files.") Long bytes,

        @JsonPropertyDescription("Training loss at the step.")
        Double loss) {}
