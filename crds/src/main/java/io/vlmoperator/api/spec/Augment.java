package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;

/** Random changes of the training images, a pure function of seed, epoch and sample. All are off by default. */
public record Augment(
        @JsonPropertyDescription(
                "Largest shift as a share of the side, each axis, uniform in [-shift, shift]; the uncovered border is white.")
        @Default("0.0")
        @Min(0)
        @Max(1)
        Double shift,

        @JsonPropertyDescription("Largest relative change of size, uniform in [1-scale, 1+scale].")
        @Default("0.0")
        @Min(0)
        @Max(0.9)
        Double scale,

        @JsonPropertyDescription("Factor on all channels, uniform in [1-b, 1+b].") @Default("0.0") @Min(0) @Max(1)
        Double brightness,

        @JsonPropertyDescription("Factor about the picture's mean gray, uniform in [1-c, 1+c].")
        @Default("0.0")
        @Min(0)
        @Max(1)
        Double contrast,

        @JsonPropertyDescription("Factor about each pixel's gray, uniform in [1-s, 1+s].")
        @Default("0.0")
        @Min(0)
        @Max(1)
        Double saturation,

        @JsonPropertyDescription("Share of pictures turned gray.") @Default("0.0") @Min(0) @Max(1)
        Double grayscale) {
    public static final Augment NONE = new Augment(null, null, null, null, null, null);

    public Augment {
        shift = Defaults.or(shift, 0.0);
        scale = Defaults.or(scale, 0.0);
        brightness = Defaults.or(brightness, 0.0);
        contrast = Defaults.or(contrast, 0.0);
        saturation = Defaults.or(saturation, 0.0);
        grayscale = Defaults.or(grayscale, 0.0);
    }
}
