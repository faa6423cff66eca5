package io.vlmoperator.api.status;

/**
 * The newest report of a run. Written by its own field manager, at most every 15 seconds.
 *
 * @param step training: optimizer steps done
 * @param done Dataset: shards done; EvalJob: rows done
 * @param dataWait share of the step spent waiting for data, 0 to 1
 * @param mfu model FLOPs utilisation, 0 to 1
 * @param updatedAt RFC 3339
 */
public record Progress(
        Integer attempt,
        Long step,
        Long steps,
        Long done,
        Long total,
        Long tokens,
        Double loss,
        Double gradientNorm,
        Double learningRate,
        Double tokensPerSecond,
        Double mfu,
        Double dataWait,
        Long etaSeconds,
        Boolean nonFinite,
        String updatedAt) {}
