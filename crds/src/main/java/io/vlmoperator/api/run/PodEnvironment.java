package io.vlmoperator.api.run;

import java.util.Map;

/** Names of what the operator puts into a worker's environment. All begin with {@code VLM_} and can't be set by people. */
public final class PodEnvironment {
    /** Path of the frozen job: {@link FrozenJob#FILE} in the mounted ConfigMap. */
    public static final String JOB_FILE = "VLM_JOB_FILE";
    /** Folder that holds one folder per mounted claim. */
    public static final String MOUNT_ROOT = "VLM_MOUNT_ROOT";
    /** File for the {@link TerminationMessage}. */
    public static final String TERMINATION_LOG = "VLM_TERMINATION_LOG";
    /** Host name of rank 0's pod and its port, {@code host:port}. Absent with one process. */
    public static final String RENDEZVOUS = "VLM_RENDEZVOUS";
    /** What the attempt's processes know each other by: 64 hexadecimal digits, from the attempt's Secret. Absent with one process. */
    public static final String PEER_SECRET = "VLM_PEER_SECRET";
    /** Url that reports are posted to; absent: no reports. */
    public static final String PROGRESS_URL = "VLM_PROGRESS_URL";
    /** PEM file of the authority that signed the endpoint's certificate. */
    public static final String PROGRESS_CA = "VLM_PROGRESS_CA";
    /** File of the projected token; read again for every report. */
    public static final String PROGRESS_TOKEN = "VLM_PROGRESS_TOKEN";
    /** Seconds from SIGTERM to SIGKILL. */
    public static final String GRACE_SECONDS = "VLM_GRACE_SECONDS";
    /** Name of the node, for reports. */
    public static final String NODE_NAME = "VLM_NODE_NAME";
    /** Pods of this attempt, where a queue may admit fewer than the frozen job has; absent otherwise. */
    public static final String NODES = "VLM_NODES";
    /** Whole CPUs of the container's limit; absent without a limit. The trainer starts so many threads for arithmetic at most. */
    public static final String CPUS = "VLM_CPUS";
    /** Folder for copies of objects and for what is on its way to object storage; absent where a job has no {@code s3://} location. */
    public static final String CACHE = "VLM_CACHE";
    /** Set by the Job controller: index of the pod, the node rank. */
    public static final String COMPLETION_INDEX = "JOB_COMPLETION_INDEX";

    /**
     * What libraries have to find in the environment of a process on a GPU to give the same bits every time ({@code determinism: Exact}): cuBLAS
     * a fixed workspace, NCCL one algorithm and one protocol instead of its own choice. They read it once, when they start.
     */
    public static final Map<String, String> EXACT =
            Map.of("CUBLAS_WORKSPACE_CONFIG", ":4096:8", "NCCL_ALGO", "Ring", "NCCL_PROTO", "Simple");

    public static final String DEFAULT_MOUNT_ROOT = "/mnt";
    public static final String DEFAULT_CACHE = "/cache";
    public static final String DEFAULT_TERMINATION_LOG = "/dev/termination-log";
    public static final int RENDEZVOUS_PORT = 29400;

    private PodEnvironment() {}
}
