package io.vlmoperator.api.status;

/**
 * One start of the workers. The last ten are kept.
 *
 * @param failureClass Configuration, Data, User, Infrastructure, OutOfMemory, Hang, Preempted; missing while it runs and when it succeeded
 * @param resumedFrom step of the checkpoint it began with
 * @param world processes
 */
public record Attempt(
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
        Integer world) {}
