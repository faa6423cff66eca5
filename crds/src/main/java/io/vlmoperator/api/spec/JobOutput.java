package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** The run folder of a job. */
public record JobOutput(
        @JsonPropertyDescription(
                "The run folder: checkpoints, exports, metrics, predictions. It belongs to this resource alone.")
        @Required
        @Size(max = 1024)
        @Pattern(Patterns.LOCATION)
        String location,

        @JsonPropertyDescription("Secret with S3 credentials, in the same namespace.")
        @Size(min = 1, max = 253)
        @Pattern(Patterns.OBJECT_NAME)
        String secretRef) {}
