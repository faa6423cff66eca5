package io.vlmoperator.api.spec;

/**
 * Which samples are refused, counted by reason and listed in the reject file.
 *
 * @param minSide smallest image side in pixels
 * @param maxAspect largest ratio of the longer to the shorter side
 * @param maxCaptionTokens longest caption in tokens
 * @param maxRejectShare the Dataset fails when a larger share of the samples is refused (0 to 1)
 */
public record Reject(Integer minSide, Double maxAspect, Integer maxCaptionTokens, Double maxRejectShare) {
    public Reject {
        minSide = Defaults.or(minSide, 2);
        maxAspect = Defaults.or(maxAspect, 20.0);
        maxCaptionTokens = Defaults.or(maxCaptionTokens, 1024);
        maxRejectShare = Defaults.or(maxRejectShare, 0.2);
    }
}
