package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;

/** The model in a format that other programs open. */
public record Export(
        @JsonPropertyDescription("Its folder.") @Size(max = Limits.LOCATION)
        String location,

        @JsonPropertyDescription("Its format, such as Llava.") @Size(max = Limits.WORD)
        String format,

        @JsonPropertyDescription("Digest of its files.") @Size(max = Limits.DIGEST)
        String digest) {}
