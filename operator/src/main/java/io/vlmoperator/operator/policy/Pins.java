package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Work;
import java.util.Collection;
import java.util.List;
import java.util.Objects;

/** Checkpoints that an SFTJob or EvalJob of the namespace refers to are kept until that job is finished. */
public final class Pins {
    /** The answer of the progress endpoint stays small. */
    static final int MOST = 64;

    private Pins() {}

    /** Another resource of the namespace. */
    public record Neighbour(Work work, RunStatus status) {}

    /** Steps of the job's checkpoints that must not be deleted, ascending. */
    public static List<Long> of(Kind kind, String name, RunStatus job, Collection<Neighbour> neighbours) {
        return neighbours.stream()
                .filter(neighbour -> !neighbour.status().finished())
                .flatMap(neighbour -> References.checkpoint(neighbour.work()).stream())
                .filter(selected ->
                        selected.ref().kind() == kind && selected.ref().name().equals(name))
                .map(selected -> selected.which().step() != null
                        ? Long.valueOf(selected.which().step())
                        : References.select(selected.which(), job)
                                .map(Checkpoint::step)
                                .orElse(null))
                .filter(Objects::nonNull)
                .distinct()
                .sorted()
                .limit(MOST)
                .toList();
    }
}
