package io.vlmoperator.api.run;

/** The four resources. */
public enum Kind {
    Dataset("dataset", "datasets"),
    PretrainJob("pretrain", "pretrainjobs"),
    SFTJob("sft", "sftjobs"),
    EvalJob("eval", "evaljobs");

    private final String shortName;
    private final String plural;

    Kind(String shortName, String plural) {
        this.shortName = shortName;
        this.plural = plural;
    }

    /** Part of the names of children: {@code NAME-SHORT-ATTEMPT}. */
    public String shortName() {
        return shortName;
    }

    /** Resource name in the API and in the progress url. */
    public String plural() {
        return plural;
    }
}
