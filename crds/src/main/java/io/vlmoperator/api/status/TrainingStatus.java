package io.vlmoperator.api.status;

import java.util.List;

/** Status of a PretrainJob and of an SFTJob. */
public record TrainingStatus(
        Phase phase,
        Long observedGeneration,
        String startedAt,
        String finishedAt,
        Progress progress,
        Checkpoints checkpoints,
        List<BenchmarkResult> benchmarks,
        List<Attempt> attempts,
        Restarts restarts,
        Export export,
        List<Condition> conditions) {

    /** What was used of the budgets since the last new checkpoint, and in all. */
    public record Restarts(Integer user, Integer infrastructure, Integer total) {}
}
