package io.vlmoperator.trainer.train;

import io.vlmoperator.api.spec.Schedule;

/**
 * The learning rate as a share of the peak: {@code warmup = int(ratio * total)} updates of linear rise, of which the first has rate 0,
 * then the decay to 0 at {@code total} (transformers' {@code get_*_schedule_with_warmup}). Without a warm-up the first update is at the peak.
 *
 * @param warmupRatio share of the updates that is warm-up
 * @param decay form of the decay
 * @param total number of updates
 */
public record LearningRate(double warmupRatio, Schedule.Decay decay, long total) {
    /** The rate that a job asks for, over {@code total} updates. */
    static LearningRate of(Schedule schedule, long total) {
        return new LearningRate(schedule.warmupRatio(), schedule.decay(), total);
    }

    /** Updates of the warm-up. */
    public long warmup() {
        return (long) (warmupRatio * total);
    }

    /**
     * The rate of an update as a share of the peak.
     *
     * @param update from 0 on
     * @return 0 to 1
     */
    public double factor(long update) {
        if (update < warmup()) {
            return (double) update / warmup();
        }
        double progress = (double) (update - warmup()) / Math.max(1, total - warmup());
        return switch (decay) {
            case Cosine -> Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
            case Linear -> Math.max(0, 1 - progress);
            case Constant -> 1;
        };
    }
}
