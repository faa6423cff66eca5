package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** Which samples are kept: those for which any of the rules holds; all, when there is no rule. */
public record Select(
        @JsonPropertyDescription("A sample is kept when any of the rules holds. Not built yet.") @Size(max = 16)
        List<Rule> anyOf) {
    public Select {
        anyOf = Defaults.copy(anyOf);
    }

    /** Exactly one of the two is set. */
    @ValidationRule(value = "has(self.uidList) != has(self.score)", message = Messages.SELECT_FORM)
    public record Rule(
            @JsonPropertyDescription("Samples whose id is in a list.")
            UidList uidList,

            @JsonPropertyDescription("Samples that a filter model scores at least so high.")
            Score score) {}

    /** Sample ids as DataComp writes them (NumPy array of two unsigned 64-bit numbers, sorted), Parquet or text. */
    public record UidList(
            @JsonPropertyDescription("A list of sample ids: DataComp's NumPy array, Parquet or text.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
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
            @JsonPropertyDescription("Folder of the filter model.")
            @Required
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location) {}
}
