package io.vlmoperator.api.spec;

import java.util.List;

/** Which samples are kept: those for which any of the rules holds; all, when there is no rule. */
public record Select(List<Rule> anyOf) {
    public Select {
        anyOf = Defaults.copy(anyOf);
    }

    /** Exactly one of the two is set. */
    public record Rule(UidList uidList, Score score) {}

    /** Sample ids as DataComp writes them (NumPy array of two unsigned 64-bit numbers, sorted), Parquet or text. */
    public record UidList(String location) {}

    /** A score by a filter model, at least so high. */
    public record Score(Metric metric, Integer atLeast, Scorer scorer) {}

    /** The four metrics of MLM-Filter, 0 to 100. */
    public enum Metric {
        ImageTextMatching,
        ObjectDetailFulfillment,
        CaptionTextQuality,
        SemanticUnderstanding
    }

    /** The filter model. */
    public record Scorer(String location) {}
}
