package io.vlmoperator.operator.policy;

import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.policy.References.Ref;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A Dataset is not deleted while a job that has begun reads it: a finalizer, there only while the Dataset is in use, holds it. Jobs that
 * still wait for their first attempt hold nothing, so that a Dataset they wait for can be replaced.
 */
public final class Holds {
    private static final int SHOWN = 5;

    private Holds() {}

    /** What to do with the finalizer. */
    public enum Verdict {
        Leave,
        Add,
        Remove
    }

    /** The jobs that use it, as KIND NAME, sorted. */
    public static List<String> users(Ref dataset, Collection<Subject> neighbours) {
        return neighbours.stream()
                .filter(job -> !job.status().finished()
                        && !job.status().attempts().isEmpty()
                        && References.of(job.work()).contains(dataset))
                .map(job -> job.kind() + " " + job.name())
                .sorted()
                .toList();
    }

    /** @param held whether the finalizer is there; none can be added to what is being deleted already */
    public static Verdict decide(List<String> users, boolean held, boolean deleting) {
        if (users.isEmpty()) {
            return held ? Verdict.Remove : Verdict.Leave;
        }
        return held || deleting ? Verdict.Leave : Verdict.Add;
    }

    /** What a person reads who has deleted a Dataset in use. */
    public static String message(List<String> users) {
        var shown = users.stream().limit(SHOWN).collect(Collectors.joining(", "));
        var more = users.size() > SHOWN ? " and " + (users.size() - SHOWN) + " more" : "";
        return "Deletion waits: in use by " + shown + more + "; the Dataset goes when they end or are deleted";
    }
}
