package io.vlmoperator.operator.plan;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * @param actions in order
 * @param facts for the status; empty: leave it as it is
 * @param again when to look again though nothing happens
 */
public record Plan(List<Action> actions, Optional<Facts> facts, Optional<Instant> again) {
    public static final Plan NOTHING = new Plan(List.of(), Optional.empty(), Optional.empty());

    public Plan {
        actions = List.copyOf(actions);
    }
}
