package io.vlmoperator.trainer.plan;

/**
 * A whole run on several devices.
 *
 * @param tokens of the run
 * @param tokensPerSecond of one device
 * @param stepSeconds computing time of an optimizer step
 * @param reducedBytes gradients that each device sends for one step
 * @param reduceSeconds time of that, if nothing is computed meanwhile
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
        double reducedBytes,
        double reduceSeconds) {
    private static final double SECONDS_PER_HOUR = 3600;

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
        double gradients = work.trainedCount() * 4.0;
        // A ring: every device sends 2 (n - 1) / n of the gradients; between nodes each node does, over its one
        // network.
        double inside = devicesPerNode == 1 ? 0 : 2 * (devicesPerNode - 1.0) / devicesPerNode * gradients;
        double between = nodes == 1 ? 0 : 2 * (nodes - 1.0) / nodes * gradients;
        return new RunPlan(
                work,
                device,
                nodes,
                devicesPerNode,
                MemoryPlan.of(work, device, zero1 ? world : 1),
                flops,
                tokens,
                tokensPerSecond,
                work.tokensPerStep() / world / tokensPerSecond,
                world == 1 ? 0 : 2 * (world - 1.0) / world * gradients,
                inside / device.link() + between / network);
    }

    /** Devices of the run. */
    public int world() {
        return nodes * devicesPerNode;
    }

    /** Optimizer steps. */
    public long steps() {
        return (long) Math.ceil(tokens / work.tokensPerStep());
    }

    /** Hours if communication hides behind computing. */
    public double hours() {
        return tokens / (tokensPerSecond * world()) / SECONDS_PER_HOUR;
    }

    /** Hours if it does not hide at all. */
    public double hoursAtMost() {
        return hours() + steps() * reduceSeconds / SECONDS_PER_HOUR;
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
