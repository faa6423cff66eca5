package io.vlmoperator.api.spec;

/** One environment variable of the workers. Names that the operator sets itself (VLM_..., JOB_COMPLETION_INDEX) are refused. */
public record EnvVar(String name, String value) {
    public EnvVar {
        value = Defaults.or(value, "");
    }
}
