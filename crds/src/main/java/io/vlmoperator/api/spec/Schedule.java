package io.vlmoperator.api.spec;

/**
 * The learning rate over the run, and its end.
 *
 * @param warmupRatio share of the steps with a linear rise; the very first step has rate 0 when it is not 0
 */
public record Schedule(Double warmupRatio, Decay decay, StopAfter stopAfter) {
    public static final Schedule DEFAULT = new Schedule(null, null, null);

    public Schedule {
        warmupRatio = Defaults.or(warmupRatio, 0.03);
        decay = Defaults.or(decay, Decay.Cosine);
        stopAfter = Defaults.or(stopAfter, new StopAfter(1, null, null));
    }

    /** The fall after the warm-up. */
    public enum Decay {
        Cosine,
        Linear,
        Constant
    }

    /** Exactly one is set. */
    public record StopAfter(Integer epochs, Integer steps, Long tokens) {}
}
