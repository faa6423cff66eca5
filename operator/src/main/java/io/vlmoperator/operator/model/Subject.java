package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.Kind;
import java.time.Instant;

/**
 * One resource of any of the four kinds, as read.
 *
 * @param status the newest status this operator knows of, empty for a new resource
 */
public record Subject(
        Work work,
        String namespace,
        String name,
        String uid,
        long generation,
        Instant createdAt,
        boolean deleting,
        RunStatus status) {
    public Kind kind() {
        return work.kind();
    }

    /** First part of the names of all children. */
    public String childPrefix() {
        return name + "-" + kind().shortName();
    }

    /** Name of the Job and of the ConfigMap of an attempt. */
    public String attemptName(int attempt) {
        return childPrefix() + "-" + attempt;
    }
}
