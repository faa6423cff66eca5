package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** Which samples are refused, counted by reason and listed in the reject file. */
public record Reject(
        @JsonPropertyDescription("Smallest image side in pixels.") @Default("2") @Min(1) @Max(65_536)
        Integer minSide,

        @JsonPropertyDescription("Largest ratio of the longer to the shorter side.")
        @Default("20.0")
        @Min(1)
        @Max(65_536)
        Double maxAspect,

        @JsonPropertyDescription("Longest caption in tokens.") @Default("1024") @Min(1) @Max(131_072)
        Integer maxCaptionTokens,

        @JsonPropertyDescription("The Dataset fails when a larger share of the samples is refused (0 to 1).")
        @Default("0.2")
        @Min(0)
        @Max(1)
        Double maxRejectShare) {
    public Reject {
        minSide = Defaults.or(minSide, 2);
        maxAspect = Defaults.or(maxAspect, 20.0);
        maxCaptionTokens = Defaults.or(maxCaptionTokens, 1024);
        maxRejectShare = Defaults.or(maxRejectShare, 0.2);
    }
}
