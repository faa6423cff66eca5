package io.vlmoperator.api.run;

import io.vlmoperator.api.status.DatasetStatus;
import java.util.List;

/** A finished Dataset in numbers; the fields are those of {@link DatasetStatus}. */
public record DatasetSummary(
        Long samples,
        Long images,
        Long tokens,
        Long rows,
        Double fill,
        Long bytes,
        String digest,
        String tokenizerDigest,
        List<DatasetStatus.SourceCount> sources,
        List<DatasetStatus.Rejected> rejected) {
    public DatasetSummary {
        sources = sources == null ? List.of() : List.copyOf(sources);
        rejected = rejected == null ? List.of() : List.copyOf(rejected);
    }
}
