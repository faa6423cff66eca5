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

        @JsonPropertyDescription("Processes; missing while a queue has not admitted them.")
        Integer world,

        @JsonPropertyDescription("Pods that had a node, when it ended for want of nodes: the next attempt has so many.")
        Integer scheduled,

        @JsonPropertyDescription("Dataset with workers.stages: the stage it did, as in progress.")
        @Size(max = Limits.WORD)
        String stage) {
    /** An attempt at work that has no stages. */
    public Attempt(
            Integer number,
            String startedAt,
            String endedAt,
            String failureClass,
            String reason,
            String message,
            Integer exitCode,
            String node,
            Long lastStep,
            Long resumedFrom,
            Integer world,
            Integer scheduled) {
        this(
                number,
                startedAt,
                endedAt,
                failureClass,
                reason,
                message,
                exitCode,
                node,
                lastStep,
                resumedFrom,
                world,
                scheduled,
                null);
    }

    /** An attempt that has just begun. */
    public static Attempt begun(int number, String startedAt, Integer world) {
        return new Attempt(number, startedAt, null, null, null, null, null, null, null, null, world, null);
    }

    /** The same, as an attempt at one stage of a Dataset; null: at all of them. */
    public Attempt at(String word) {
        return new Attempt(
                number,
                startedAt,
                endedAt,
                failureClass,
                reason,
                message,
                exitCode,
                node,
                lastStep,
                resumedFrom,
                world,
                scheduled,
                word);
    }

    /** It has ended; null for what is not known. */
    public Attempt ended(
            String at,
            String failure,
            String why,
            String text,
            Integer code,
            String failedNode,
            Long step,
            Long resumed) {
        return new Attempt(
                number, startedAt, at, failure, why, text, code, failedNode, step, resumed, world, scheduled, stage);
    }

    /** With the number of processes that a queue has admitted. */
    public Attempt withWorld(int processes) {
        return with(resumedFrom, processes, scheduled);
    }

    /** With the step of the checkpoint that it began with. */
    public Attempt withResumedFrom(long step) {
        return with(step, world, scheduled);
    }

    /** With the number of pods that had a node at its end. */
    public Attempt withScheduled(int pods) {
        return with(resumedFrom, world, pods);
    }

    private Attempt with(Long resumed, Integer processes, Integer pods) {
        return new Attempt(
                number,
                startedAt,
                endedAt,
                failureClass,
                reason,
                message,
                exitCode,
                node,
                lastStep,
                resumed,
                processes,
                pods,
                stage);
    }
}
