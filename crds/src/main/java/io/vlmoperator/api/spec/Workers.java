package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;
import java.util.Map;

/** The pods that train or evaluate: one pod a node. */
@ValidationRule(
        value = "!has(self.minNodes) || self.minNodes <= self.nodes",
        message = Messages.MIN_NODES,
        fieldPath = ".minNodes")
@ValidationRule(
        value = "!has(self.network) || !has(self.network.interfaceName) || !has(self.env)"
                + " || !self.env.exists(variable, variable.name == 'NCCL_SOCKET_IFNAME')",
        message = Messages.INTERFACE_ENV,
        fieldPath = ".env")
public record Workers(
        @JsonPropertyDescription("Pods of an attempt, one a node.") @Default("1") @Min(1) @Max(1024)
        Integer nodes,

        @JsonPropertyDescription(
                "An attempt may have so few pods when not all can be scheduled, or a queue admits no more. Missing: nodes.")
        @Min(1)
        @Max(1024)
        Integer minNodes,

        @JsonPropertyDescription("Processes of a pod, one a GPU; 0 works on the CPU with one process.")
        @Default("0")
        @Min(0)
        @Max(64)
        Integer gpusPerNode,

        @JsonPropertyDescription("Name of the GPU resource.")
        @Default("nvidia.com/gpu")
        @Size(min = 1, max = 317)
        @Pattern(Patterns.QUALIFIED_NAME)
        String gpuResource,

        @JsonPropertyDescription("Size of /dev/shm, such as 8Gi. Missing: 1Gi with more than one GPU.")
        @Size(min = 1, max = 32)
        @Pattern(Patterns.QUANTITY)
        String sharedMemory,

        @JsonPropertyDescription("Requests and limits of each pod.")
        Resources resources,

        @JsonPropertyDescription("Environment variables of the pods.") @Size(max = 32)
        List<EnvVar> env,

        @JsonPropertyDescription("Labels a node must have.") @Size(max = 16)
        Map<String, @Size(max = 63) String> nodeSelector,

        @JsonPropertyDescription("Taints the pods tolerate.") @Size(max = 16)
        List<Toleration> tolerations,

        @JsonPropertyDescription("What NCCL needs of a node's network.")
        Network network,

        @JsonPropertyDescription("The queue that admits the workers.")
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
    public record Network(
            @JsonPropertyDescription("Resource name of the RDMA device, such as rdma/ib.")
            @Size(min = 1, max = 317)
            @Pattern(Patterns.QUALIFIED_NAME)
            String rdmaResource,

            @JsonPropertyDescription("Whether the pods use the node's network.") @Default("false")
            Boolean hostNetwork,

            @JsonPropertyDescription("Network interface for rendezvous and NCCL, such as eth0.")
            @Size(min = 1, max = 15)
            @Pattern(Patterns.INTERFACE)
            String interfaceName) {
        public Network {
            hostNetwork = Defaults.or(hostNetwork, false);
        }
    }

    /** The queue that admits the workers. */
    public record Queue(
            @JsonPropertyDescription("The queueing system.") @Required
            Kind kind,

            @JsonPropertyDescription("Name of the queue (Kueue: LocalQueue).")
            @Required
            @Size(min = 1, max = 63)
            @Pattern(Patterns.OBJECT_NAME)
            String name,

            @JsonPropertyDescription("Name of the priority class of the workload.")
            @Size(min = 1, max = 63)
            @Pattern(Patterns.OBJECT_NAME)
            String priorityClass) {
        /** Queueing systems. */
        public enum Kind {
            Kueue
        }
    }
}
