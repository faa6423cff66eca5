package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** One environment variable of the workers. Names that the operator sets itself (VLM_..., JOB_COMPLETION_INDEX) are refused. */
@ValidationRule(
        value = "!self.name.startsWith('VLM_') && self.name != 'JOB_COMPLETION_INDEX'",
        message = Messages.RESERVED_ENV)
public record EnvVar(
        @JsonPropertyDescription("Name of the variable.")
        @Required
        @Size(min = 1, max = 128)
        @Pattern(Patterns.ENVIRONMENT_NAME)
        String name,

        @JsonPropertyDescription("Its value.") @Size(max = 4096)
        String value) {
    public EnvVar {
        value = Defaults.or(value, "");
    }
}
