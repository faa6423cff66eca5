package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** A Dataset in the same namespace and its weight in the mixture. */
public record DataRef(
        @JsonPropertyDescription("Name of a Dataset in the same namespace.")
        @Required
        @Size(min = 1, max = 40)
        @Pattern(Patterns.RESOURCE_NAME)
        String dataset,

        @JsonPropertyDescription("How often an epoch reads it: 2 reads each row twice.")
        @Default("1")
        @Min(1)
        @Max(1000)
        Integer weight) {
    public DataRef {
        weight = Defaults.or(weight, 1);
    }
}
