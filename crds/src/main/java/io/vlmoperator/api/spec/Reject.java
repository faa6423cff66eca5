package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.ValidationRule;

/** Which samples are refused, counted by reason and listed in the reject file. */
@ValidationRule(
        value = "!has(self.duplicateDistance) || self.duplicateDistance == 0 || self.duplicateImages == 'Perceptual'",
        message = Messages.DUPLICATE_DISTANCE,
        fieldPath = ".duplicateDistance")
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

        @JsonPropertyDescription("Shortest caption in tokens.") @Default("1") @Min(1) @Max(131_072)
        Integer minCaptionTokens,

        @JsonPropertyDescription(
                "Smallest share of letters and digits, of any script, among a caption's characters that are not white space (0 to 1).")
        @Default("0.0")
        @Min(0)
        @Max(1)
        Double minLetterShare,

        @JsonPropertyDescription(
                "Largest share of a caption's words, between white space, that stood before in it (0 to 1).")
        @Default("1.0")
        @Min(0)
        @Max(1)
        Double maxRepeatedWords,

        @JsonPropertyDescription(
                "What becomes of an image that stood in an earlier sample of captions: Keep, Exact (refused when the file is the same byte for byte) or Perceptual (refused when the 64 bits of its pHash are the same).")
        @Default("Keep")
        DuplicateImages duplicateImages,

        @JsonPropertyDescription(
                "With Perceptual: refused when at most so many of the 64 bits differ from those of an earlier kept image (0 to 7).")
        @Default("0")
        @Min(0)
        @Max(7)
        Integer duplicateDistance,

        @JsonPropertyDescription("The Dataset fails when a larger share of the samples is refused (0 to 1).")
        @Default("0.2")
        @Min(0)
        @Max(1)
        Double maxRejectShare) {
    /** What becomes of repeated images. */
    public enum DuplicateImages {
        /** They are samples as any other. */
        Keep,
        /** Refused when the file is the same byte for byte. */
        Exact,
        /** Refused when the pHash is the same: low frequencies of the cosine transform of a 32 x 32 gray copy against their median. */
        Perceptual
    }

    /** Rules without near images and without looks at the text. */
    public Reject(
            Integer minSide,
            Double maxAspect,
            Integer maxCaptionTokens,
            Integer minCaptionTokens,
            DuplicateImages duplicateImages,
            Double maxRejectShare) {
        this(minSide, maxAspect, maxCaptionTokens, minCaptionTokens, null, null, duplicateImages, null, maxRejectShare);
    }

    public Reject {
        minSide = Defaults.or(minSide, 2);
        maxAspect = Defaults.or(maxAspect, 20.0);
        maxCaptionTokens = Defaults.or(maxCaptionTokens, 1024);
        minCaptionTokens = Defaults.or(minCaptionTokens, 1);
        minLetterShare = Defaults.or(minLetterShare, 0.0);
        maxRepeatedWords = Defaults.or(maxRepeatedWords, 1.0);
        duplicateImages = Defaults.or(duplicateImages, DuplicateImages.Keep);
        duplicateDistance = Defaults.or(duplicateDistance, 0);
        maxRejectShare = Defaults.or(maxRejectShare, 0.2);
    }
}
