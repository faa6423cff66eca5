package io.vlmoperator.api.status;

import java.util.List;

/**
 * @param location the output folder that jobs read (index and plan)
 * @param fill share of the rows' context that holds tokens, 0 to 1
 * @param digest identifies the selected samples and the plan
 */
public record DatasetStatus(
        Phase phase,
        Long observedGeneration,
        String startedAt,
        String finishedAt,
        String location,
        Long samples,
        Long images,
        Long tokens,
        Long rows,
        Double fill,
        Long bytes,
        String digest,
        String tokenizerDigest,
        List<SourceCount> sources,
        List<Rejected> rejected,
        Progress progress,
        List<Attempt> attempts,
        List<Condition> conditions) {

    /** What one source gave. */
    public record SourceCount(String name, Long samples, Long images, Long selected) {}

    /** How many samples were refused for a reason. */
    public record Rejected(String reason, Long count) {}
}
