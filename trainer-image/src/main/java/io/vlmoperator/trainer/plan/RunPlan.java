package io.vlmoperator.trainer.plan;

/**
 * A whole run on several devices.
 *
 * @param tokens of the run
 * @param tokensPerSecond of one device
 * @param stepSeconds computing time of an optimizer step
 * @param sentBytes what each device sends for one step: gradients in a reduce-scatter and weights in an all-gather
 * @param step its parts
 */
public record RunPlan(
        Workload work,
        Device device,
        int nodes,
        int devicesPerNode,
        MemoryPlan memory,
        FlopsPerToken flops,
        double tokens,
        double tokensPerSecond,
        double stepSeconds,
        double sentBytes,
        StepTime step) {
    private static final double SECONDS_PER_HOUR = 3600;
    private static final double FLOAT32 = 4;
    private static final double BFLOAT16 = 2;

    /** A hop of a ring: between two devices of a node, and between two nodes. Assumed; NCCL's own figures are of this size. */
    private static final double DEVICE_HOP = 3e-6;

    private static final double NODE_HOP = 10e-6;

    /** A hop of a small message between two processes, over TCP. */
    private static final double MESSAGE_HOP = 50e-6;

    /**
     * Plans.
     *
     * @param mfu share of the peak that is reached
     * @param network bytes per second between two nodes, in one direction
     * @param zero1 whether master weights and moments are divided among all devices
     */
    public static RunPlan of(
            Workload work,
            Device device,
            int nodes,
            int devicesPerNode,
            double tokens,
            double mfu,
            double network,
            boolean zero1) {
        int world = nodes * devicesPerNode;
        FlopsPerToken flops = FlopsPerToken.of(work);
        double tokensPerSecond = flops.tokensPerSecond(device.peak(), mfu);
        double gradients = work.trainedCount() * FLOAT32;
        // Without shards every device forms the same weights by itself, from gradients that the second half sends
        // around.
        double gathered = zero1 && work.bfloat16() ? work.trainedCount() * BFLOAT16 : gradients;
        // Rows are whole: the device with the most of them decides.
        long rows = Math.ceilDiv(work.globalRows(), (long) world);
        long microBatches = Math.ceilDiv(rows, (long) work.rows());
        double compute = rows * work.rowTokens() / tokensPerSecond;
        StepTime step = new StepTime(
                compute,
                compute / microBatches,
                ring(gradients, nodes, devicesPerNode, device.link(), network, work.layers()),
                ring(gathered, nodes, devicesPerNode, device.link(), network, work.layers()),
                (world - 1) * MESSAGE_HOP);
        return new RunPlan(
                work,
                device,
                nodes,
                devicesPerNode,
                MemoryPlan.of(work, device, zero1 ? world : 1),
                flops,
                tokens,
                tokensPerSecond,
                compute,
                (world - 1.0) / world * (gradients + gathered),
                step);
    }

    /**
     * Seconds of a reduce-scatter or an all-gather of everything: first (or last) inside a node, where every device sends (n - 1) / n over
     * its link, then between nodes, where every node sends as much over its one network.
     *
     * @param buckets the whole is cut into, each of which goes around by itself
     */
    private static double ring(double bytes, int nodes, int devicesPerNode, double link, double network, int buckets) {
        double inside = (devicesPerNode - 1.0) / devicesPerNode * bytes / link;
        double between = (nodes - 1.0) / nodes * bytes / network;
        return inside + between + buckets * ((devicesPerNode - 1) * DEVICE_HOP + (nodes - 1) * NODE_HOP);
    }

    /** Devices of the run. */
    public int world() {
        return nodes * devicesPerNode;
    }

    /** Optimizer steps. */
    public long steps() {
        return (long) Math.ceil(tokens / work.tokensPerStep());
    }

    /** Hours if devices only computed, and all had the same number of rows. */
    public double hours() {
        return tokens / (tokensPerSecond * world()) / SECONDS_PER_HOUR;
    }

    /** Hours with the communication that does not fit beside the computing. */
    public double hoursPredicted() {
        return steps() * step.seconds() / SECONDS_PER_HOUR;
    }

    /** Hours if no communication hides. */
    public double hoursAtMost() {
        return steps() * step.atMost() / SECONDS_PER_HOUR;
    }

    /** Share of the devices' computing power that the run uses: the rest waits for others or has no rows. */
    public double efficiency() {
        return hours() / hoursPredicted();
    }

    /** Hours of one device times devices. */
    public double deviceHours() {
        return hours() * world();
    }

    /** Whether the process fits into the device's memory. */
    public boolean fits() {
        return memory.total() <= device.memoryBytes();
    }
}
