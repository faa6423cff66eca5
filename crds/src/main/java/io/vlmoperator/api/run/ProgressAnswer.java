package io.vlmoperator.api.run;

import java.util.List;

/**
 * The operator's answer to a report.
 *
 * @param pins steps whose checkpoints something refers to; retention keeps them
 */
public record ProgressAnswer(List<Long> pins, Command command) {
    public ProgressAnswer {
        pins = pins == null ? List.of() : List.copyOf(pins);
    }

    /** Idempotent by id. */
    public record Command(String id, Action action) {}

    /** What the trainer shall do. */
    public enum Action {
        None,
        Save,
        SaveAndStop
    }
}
