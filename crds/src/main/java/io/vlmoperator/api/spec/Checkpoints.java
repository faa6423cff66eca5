package io.vlmoperator.api.spec;

/** When checkpoints are written (always at the end, too) and which are kept. */
public record Checkpoints(Integer everySteps, Keep keep) {
    public static final Checkpoints DEFAULT = new Checkpoints(null, null);

    public Checkpoints {
        everySteps = Defaults.or(everySteps, 500);
        keep = Defaults.or(keep, new Keep(null, null, null));
    }

    /**
     * A checkpoint that something refers to is always kept.
     *
     * @param last the newest so many
     * @param every each whose step is a multiple of it; 0: none
     */
    public record Keep(Integer last, Integer every, Best best) {
        public Keep {
            last = Defaults.or(last, 3);
            every = Defaults.or(every, 0);
        }
    }

    /** The best so many by a metric. */
    public record Best(Integer count, Metric metric) {
        public Best {
            count = Defaults.or(count, 1);
        }
    }

    /** Exactly one is set. */
    public record Metric(TrainingLoss loss, BenchmarkScore benchmark) {}

    /** The training loss at the checkpoint; lower is better. */
    public record TrainingLoss() {}

    /** A score of {@code evaluate}; higher is better. */
    public record BenchmarkScore(String name, EvalJobSpec.Protocol protocol) {}
}
