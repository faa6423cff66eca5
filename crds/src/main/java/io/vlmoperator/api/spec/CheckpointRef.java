package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** A checkpoint of a training job in the same namespace. */
@ValidationRule(value = "(self.select == 'Step') == has(self.step)", message = Messages.STEP)
public record CheckpointRef(
        @JsonPropertyDescription("Name of the job, in the same namespace.")
        @Required
        @Size(min = 1, max = 40)
        @Pattern(Patterns.RESOURCE_NAME)
        String name,

        @JsonPropertyDescription(
                "Which of its checkpoints: Latest or Best (once the job is complete), or that of one Step (as soon as it is there).")
        @Default("Latest")
        Which select,

        @JsonPropertyDescription("The step, with select: Step.") @Min(0) @Max(Integer.MAX_VALUE)
        Integer step) {
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
