package io.vlmoperator.api.spec;

/**
 * A checkpoint of a training job in the same namespace.
 *
 * @param name the job
 * @param select which of its checkpoints
 * @param step the step, when {@code select} is Step
 */
public record CheckpointRef(String name, Which select, Integer step) {
    public CheckpointRef {
        select = Defaults.or(select, Which.Latest);
    }

    /** Which checkpoint of a job. */
    public enum Which {
        /** The newest, once the job is complete. */
        Latest,
        /** The best by {@code checkpoints.keep.best}, once the job is complete. */
        Best,
        /** That of one step, as soon as it is there. */
        Step
    }
}
