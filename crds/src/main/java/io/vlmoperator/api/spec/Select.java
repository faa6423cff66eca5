package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/**
 * Which samples of captions are kept: those that any rule of {@code anyOf} (when there is one), every rule of {@code allOf} and no rule of
 * {@code not} names. A uid that a list of {@code anyOf} holds several times is kept as often (the largest number counts); without
 * {@code anyOf} the smallest number of {@code allOf} counts.
 */
public record Select(
        @JsonPropertyDescription(
                "A sample is kept when any of these rules holds; a uid that a list holds n times is kept n times.")
        @Size(max = 16)
        List<Rule> anyOf,

        @JsonPropertyDescription("All of these rules must hold.") @Size(max = 16)
        List<Rule> allOf,

        @JsonPropertyDescription("None of these rules may hold.") @Size(max = 16)
        List<Rule> not) {
    /** Keeps every sample. */
    public static final Select ALL = new Select(List.of(), List.of(), List.of());

    public Select {
        anyOf = Defaults.copy(anyOf);
        allOf = Defaults.copy(allOf);
        not = Defaults.copy(not);
    }

    /** Whether there is any rule. */
    public boolean hasRules() {
        return !anyOf.isEmpty() || !allOf.isEmpty() || !not.isEmpty();
    }

    /** Exactly one of the two is set. */
    @ValidationRule(value = "has(self.uidList) != has(self.score)", message = Messages.SELECT_FORM)
    public record Rule(
            @JsonPropertyDescription("Samples whose id is in a list.")
            UidList uidList,

            @JsonPropertyDescription(
                    "Samples that a filter model scores at least so high. The Dataset's pods ask the model about each shard they have indexed; the scores are kept, so a threshold can be changed without asking again.")
            Score score) {}

    /** Sample ids as DataComp writes them (NumPy array of two unsigned 64-bit numbers, sorted), Parquet or text. */
    public record UidList(
            @JsonPropertyDescription(
                    "Files of sample ids, each 32 hexadecimal digits: .npy (DataComp's NumPy array of two unsigned 64-bit numbers), .parquet (column uid) or .txt (one a line).")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATIONS)
            String location) {}

    /** A score by a filter model, at least so high. */
    public record Score(
            @JsonPropertyDescription("One of MLM-Filter's four metrics.") @Required
            Metric metric,

            @JsonPropertyDescription("Smallest score, 0 to 100.") @Required @Min(0) @Max(100)
            Integer atLeast,

            @JsonPropertyDescription("The filter model.") @Required
            Scorer scorer) {}

    /** The four metrics of MLM-Filter, 0 to 100. */
    public enum Metric {
        ImageTextMatching,
        ObjectDetailFulfillment,
        CaptionTextQuality,
        SemanticUnderstanding
    }

    /** The filter model. */
    public record Scorer(
            @JsonPropertyDescription("Folder of the filter model: a run folder, a checkpoint or an imported model.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location) {}
}
