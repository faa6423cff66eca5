package io.vlmoperator.trainer.plan;

/**
 * Time of one optimizer step of one worker, by part, in seconds. Gradients are reduced during the way back of the last micro-batch and
 * weights are gathered during the way forward of the next step's first one; what does not fit beside these is waited for.
 *
 * @param compute forward and backward of all micro-batches, and the update
 * @param lastMicroBatch of it, one micro-batch: what communication can hide behind
 * @param reduce the reduce-scatter of all gradients, if nothing else goes on
 * @param gather the all-gather of all weights
 * @param messages the ranks' small messages, which nothing hides
 */
public record StepTime(double compute, double lastMicroBatch, double reduce, double gather, double messages) {
    /** Forward 1 part, backward 2. */
    private static final double BACKWARD = 2.0 / 3;

    private static final double FORWARD = 1.0 / 3;

    /**
     * A worker whose communication takes the same core as its arithmetic, so that nothing hides.
     *
     * @param compute seconds of a step of a single worker with as many rows
     * @param bytes of FLOAT32 gradients, and as many of weights
     * @param bandwidth bytes per second that a rank sends in a reduce-scatter or an all-gather
     */
    public static StepTime sharedCore(double compute, double bytes, int world, double bandwidth) {
        double sent = (world - 1.0) / world * bytes / bandwidth;
        return new StepTime(compute, compute, sent, sent, 0);
    }

    /** With all that can be hidden hidden: what a device of its own for communication reaches. */
    public double seconds() {
        return compute
                + Math.max(0, reduce - BACKWARD * lastMicroBatch)
                + Math.max(0, gather - FORWARD * lastMicroBatch)
                + messages;
    }

    /** With nothing hidden. */
    public double atMost() {
        return compute + reduce + gather + messages;
    }

    /** Communication that is waited for, as a share of the step. */
    public double waitedShare() {
        return (seconds() - compute) / seconds();
    }
}
