package io.vlmoperator.local.node;

import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What a node says it has. The scheduler goes by it; the memory limits of containers are enforced, CPU limits are not.
 *
 * @param name the node's name, a DNS label
 * @param images what its pods can run
 * @param cpus empty: the processors of this machine
 * @param memoryBytes empty: the memory of this machine
 * @param gpus how many {@code nvidia.com/gpu}
 */
public record NodeOptions(String name, Images images, OptionalInt cpus, OptionalLong memoryBytes, int gpus) {
    public NodeOptions {
        if (!name.matches("[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")) {
            throw new IllegalArgumentException(
                    "a node's name is made of lower-case letters, digits and '-', at most 52, not " + name);
        }
        if (cpus.orElse(1) < 1 || memoryBytes.orElse(1) < 1 || gpus < 0 || gpus > 1024) {
            throw new IllegalArgumentException("a node has at least one CPU and some memory, and 0 to 1024 GPUs");
        }
    }

    /** A node with what this machine has, and no GPUs. */
    public static NodeOptions of(String name, Images images) {
        return new NodeOptions(name, images, OptionalInt.empty(), OptionalLong.empty(), 0);
    }

    /** The same with other CPUs, memory and GPUs than the machine has. */
    public NodeOptions with(int cpus, long memoryBytes, int gpus) {
        return new NodeOptions(name, images, OptionalInt.of(cpus), OptionalLong.of(memoryBytes), gpus);
    }
}
