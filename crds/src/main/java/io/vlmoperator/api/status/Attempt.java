package io.vlmoperator.api.status;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;

/** One start of the workers. The last ten are kept. */
public record Attempt(
        @JsonPropertyDescription("From 1.") Integer number,

        @JsonPropertyDescription("When its pods were made (RFC 3339).") @Size(max = Limits.TIME)
        String startedAt,

        @JsonPropertyDescription("When it ended (RFC 3339).") @Size(max = Limits.TIME)
        String endedAt,

        @JsonPropertyDescription(
                "Configuration, Data, User, Infrastructure, OutOfMemory, Hang, Preempted; missing while it runs and when it succeeded.")
        @Size(max = Limits.WORD)
        String failureClass,

        @JsonPropertyDescription("Why it ended, as one word.") @Size(max = Limits.WORD)
        String reason,

        @JsonPropertyDescription("Why it ended: what is wrong, where, what to do.") @Size(max = Limits.MESSAGE)
        String message,

        @JsonPropertyDescription("Exit code of the worker that failed first.")
        Integer exitCode,

        @JsonPropertyDescription("Node of that worker.") @Size(max = Limits.NAME)
        String node,

        @JsonPropertyDescription("Last step that was reported.")
        Long lastStep,

        @JsonPropertyDescription("Step of the checkpoint it began with.")
        Long resumedFrom,

        @JsonPropertyDescription("Processes.") Integer world) {}
