package io.vlmoperator.api.spec;

import java.util.List;
import java.util.Map;

/**
 * The pods that train or evaluate: one pod a node.
 *
 * @param nodes pods of an attempt
 * @param minNodes an attempt may start with so many when not all can be scheduled; by default {@code nodes}
 * @param gpusPerNode processes of a pod, one a GPU; 0 trains on the CPU with one process
 * @param sharedMemory size of /dev/shm
 */
public record Workers(
        Integer nodes,
        Integer minNodes,
        Integer gpusPerNode,
        String gpuResource,
        String sharedMemory,
        Resources resources,
        List<EnvVar> env,
        Map<String, String> nodeSelector,
        List<Toleration> tolerations,
        Network network,
        Queue queue) {
    public static final Workers DEFAULT = new Workers(null, null, null, null, null, null, null, null, null, null, null);

    public Workers {
        nodes = Defaults.or(nodes, 1);
        minNodes = Defaults.or(minNodes, nodes);
        gpusPerNode = Defaults.or(gpusPerNode, 0);
        gpuResource = Defaults.or(gpuResource, "nvidia.com/gpu");
        resources = Defaults.or(resources, new Resources(null, null));
        env = Defaults.copy(env);
        nodeSelector = Defaults.copy(nodeSelector);
        tolerations = Defaults.copy(tolerations);
    }

    /** What NCCL needs of a node's network. */
    public record Network(String rdmaResource, Boolean hostNetwork, String interfaceName) {
        public Network {
            hostNetwork = Defaults.or(hostNetwork, false);
        }
    }

    /** The queue that admits the workers. */
    public record Queue(Kind kind, String name, String priorityClass) {
        /** Queueing systems. */
        public enum Kind {
            Kueue
        }
    }
}
