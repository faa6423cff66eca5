package io.vlmoperator.trainer.dist;

/**
 * The parts of {@link Part} for NCCL, whose own are all of one size: the equal parts, and what is left over behind them for the last rank.
 *
 * @param equal all equal parts together
 * @param own this rank's equal part, a stretch of {@code equal}
 * @param rest the elements behind, fewer than 4 a rank; none or some
 */
record NcclParts(Buffer equal, Buffer own, Buffer rest) {
    static NcclParts of(Buffer all, int rank, int world) {
        // The first part is an equal one, if there are several.
        long each = Part.of(all.count(), 0, world).count();
        long end = world == 1 ? all.count() : each * world;
        return new NcclParts(all.slice(0, end), all.slice(each * rank, each * (rank + 1)), all.slice(end, all.count()));
    }
}
