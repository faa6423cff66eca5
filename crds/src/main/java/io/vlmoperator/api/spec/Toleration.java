package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** As in a pod's spec. */
@ValidationRule(
        value = "(has(self.operator) && self.operator == 'Exists' ? !has(self.value) || self.value == ''"
                + " : has(self.key) && self.key != '')"
                + " && (!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute')",
        message = Messages.TOLERATION)
public record Toleration(
        @JsonPropertyDescription("Key of the taint; empty with operator Exists: every taint.")
        @Size(max = 317)
        @Pattern("^$|" + Patterns.QUALIFIED_NAME)
        String key,

        @JsonPropertyDescription("Equal (when missing) or Exists.") @Pattern("^(Equal|Exists)$") @Size(max = 6)
        String operator,

        @JsonPropertyDescription("Value of the taint, with Equal.") @Size(max = 63) @Pattern(Patterns.LABEL_VALUE)
        String value,

        @JsonPropertyDescription("NoSchedule, PreferNoSchedule or NoExecute; missing: all of them.")
        @Pattern("^(NoSchedule|PreferNoSchedule|NoExecute)$")
        @Size(max = 16)
        String effect,

        @JsonPropertyDescription("With NoExecute: how long the pod stays.") @Min(0) @Max(Integer.MAX_VALUE)
        Long tolerationSeconds) {}
