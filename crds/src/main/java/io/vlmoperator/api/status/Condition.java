package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** A condition as Kubernetes defines it. */
public record Condition(
        @JsonPropertyDescription(
                "Accepted, Queued, Running, Progressing, Checkpointed, Suspended, Complete, Failed, Ready, Reconciling or Stalled.")
        @Required
        @Size(min = 1, max = Limits.WORD)
        String type,

        @JsonPropertyDescription("True, False or Unknown.") @Required @Size(min = 1, max = 7)
        String status,

        @JsonPropertyDescription("Generation of the spec that was seen.")
        Long observedGeneration,

        @JsonPropertyDescription("When the status changed last (RFC 3339).") @Size(max = Limits.TIME)
        String lastTransitionTime,

        @JsonPropertyDescription("Why, as one word: a constant of the operator.") @Size(max = Limits.WORD)
        String reason,

        @JsonPropertyDescription("Why, and what to do.") @Size(max = Limits.MESSAGE)
        String message) {}
