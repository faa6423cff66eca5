package io.vlmoperator.api.spec;

import java.util.List;

/** Scores every so many checkpoints by an EvalJob, whose results also stand in this job's status. */
public record Evaluate(Integer everyCheckpoints, List<Benchmark> benchmarks, Generation generation) {
    public Evaluate {
        everyCheckpoints = Defaults.or(everyCheckpoints, 1);
        benchmarks = Defaults.copy(benchmarks);
        generation = Defaults.or(generation, new Generation(null));
    }
}
