package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;

/** How far the download of one entry of a Dataset's {@code fetch} is. */
public record FetchProgress(
        @JsonPropertyDescription("What is brought now: repository and commit, folder, or urls.")
        @Size(max = Limits.SUMMARY)
        String source,

        @JsonPropertyDescription("Files that are there.") Long filesDone,

        @JsonPropertyDescription("Files in all.") Long filesTotal,

        @JsonPropertyDescription("Bytes that are there, those of an earlier attempt too.")
        Long bytesDone,

        @JsonPropertyDescription("Bytes in all; missing as long as the size of a file is not known.")
        Long bytesTotal,

        @JsonPropertyDescription("Share of the bytes, 0 to 100; missing as long as their number is not known.")
        Integer percent) {}
