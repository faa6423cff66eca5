package io.vlmoperator.local.node;

import java.time.Instant;

/** What a container does now. */
sealed interface ContainerState {
    /** It has not begun, or waits to begin again. */
    record Waiting(String reason, String message) implements ContainerState {}

    /** Its program runs. */
    record Running(ContainerProcess process, Instant startedAt) implements ContainerState {}

    /**
     * Its program has ended.
     *
     * @param number which start it was, from 0
     */
    record Ended(int exitCode, String reason, String message, Instant startedAt, Instant finishedAt, int number)
            implements ContainerState {
        boolean succeeded() {
            return exitCode == 0;
        }
    }
}
