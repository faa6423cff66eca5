package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** Greedy decoding of answers. */
public record Generation(
        @JsonPropertyDescription("Longest answer in tokens.") @Default("16") @Min(1) @Max(4096)
        Integer maxNewTokens) {
    public Generation {
        maxNewTokens = Defaults.or(maxNewTokens, 16);
    }
}
