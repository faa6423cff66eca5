package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/**
 * Image-text data made ready for training: where it comes from, what is kept, how it is packed and where the index and the plan are
 * written.
 */
@ValidationRule(
        value = "self.sources.all(s, has(s.conversations)) || self.sources.all(s, !has(s.conversations))",
        message = Messages.NO_MIXING,
        fieldPath = ".sources")
@ValidationRule(
        value = "self.sources.all(s, has(s.interleaved)) || self.sources.all(s, !has(s.interleaved))",
        message = Messages.NO_MIXING,
        fieldPath = ".sources")
@ValidationRule(
        value = "!has(self.select) || self.sources.all(s, has(s.webDataset) || has(s.urlList))",
        message = Messages.SELECT_CAPTIONS,
        fieldPath = ".select")
@ValidationRule(
        value =
                "!has(self.output.shards) || !self.output.shards || self.sources.all(s, has(s.webDataset) || has(s.urlList))",
        message = Messages.SHARDS_CAPTIONS,
        fieldPath = ".output.shards")
@ValidationRule(
        value = "has(self.pack) || self.sources.exists(s, has(s.conversations))",
        message = Messages.PACK_REQUIRED,
        reason = "FieldValueRequired")
@ValidationRule(
        value = "!has(self.pack) || self.pack.algorithm == 'None' || self.sources.all(s, !has(s.conversations))",
        message = Messages.PACK_CONVERSATIONS)
@ValidationRule(
        value = "!has(self.failure.nonFinite) && !has(self.failure.lossSpike)",
        message = Messages.GUARDS,
        fieldPath = ".failure")
public record DatasetSpec(
        @JsonPropertyDescription("Where samples come from: read in order, then united and deduplicated.")
        @Required
        @Size(min = 1, max = 64)
        List<Source> sources,

        @JsonPropertyDescription("Which samples are kept; all, when missing.")
        Select select,

        @JsonPropertyDescription(
                "Which samples are refused, counted by reason in the status and listed in the reject file.")
        @Default("{}")
        Reject reject,

        @JsonPropertyDescription("How samples become rows. Required for captions.")
        Pack pack,

        @JsonPropertyDescription("Where the index and the plan are written.") @Required
        Output output,

        @JsonPropertyDescription("The pods that do the work. May be changed; counts from the next attempt on.")
        @Default("{}")
        DataWorkers workers,

        @JsonPropertyDescription("Restarts and deadlines. May be changed.") @Default("{}")
        Failure failure,

        @JsonPropertyDescription("true stops the work and keeps what is done; false goes on. May be changed.")
        @Default("false")
        Boolean suspend,

        @JsonPropertyDescription(
                "The resource is deleted so many seconds after it ended; data in storage stays. Missing: never. May be changed.")
        @Min(0)
        @Max(Integer.MAX_VALUE)
        Integer ttlSecondsAfterFinished,

        @JsonPropertyDescription(
                "Files that are brought into storage before the sources are read: data, tokenizers, models.")
        @Size(max = 16)
        List<Fetch> fetch) {
    public DatasetSpec {
        sources = Defaults.copy(sources);
        select = Defaults.or(select, Select.ALL);
        reject = Defaults.or(reject, new Reject(null, null, null, null, null, null));
        workers = Defaults.or(workers, DataWorkers.DEFAULT);
        failure = Defaults.or(failure, Failure.DEFAULT);
        suspend = Defaults.or(suspend, false);
        fetch = Defaults.copy(fetch);
    }

    /** A Dataset of what lies in storage already. */
    public DatasetSpec(
            List<Source> sources,
            Select select,
            Reject reject,
            Pack pack,
            Output output,
            DataWorkers workers,
            Failure failure,
            Boolean suspend,
            Integer ttlSecondsAfterFinished) {
        this(sources, select, reject, pack, output, workers, failure, suspend, ttlSecondsAfterFinished, List.of());
    }

    /** Where the index and the plan are written. */
    public record Output(
            @JsonPropertyDescription("Folder of the index, the plan and the reject file.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location,

            @JsonPropertyDescription(
                    "Also write the kept samples of captions as new tars of at most 10,000, each with a file of statistics (a second copy of the images).")
            @Default("false")
            Boolean shards,

            @JsonPropertyDescription("Secret with S3 credentials, in the same namespace.")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.OBJECT_NAME)
            String secretRef) {
        public Output {
            shards = Defaults.or(shards, false);
        }
    }
}
