package io.vlmoperator.api.status;

import java.util.List;

/** Status of an EvalJob. */
public record EvalJobStatus(
        Phase phase,
        Long observedGeneration,
        String startedAt,
        String finishedAt,
        String checkpoint,
        Progress progress,
        List<BenchmarkResult> results,
        List<Attempt> attempts,
        List<Condition> conditions) {}
