package io.vlmoperator.operator.policy;

import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;

/** A finished resource is deleted {@code ttlSecondsAfterFinished} after its end; without the field it stays. Storage is not touched. */
public final class Ttl {
    private Ttl() {}

    public static Deadline check(Subject subject, Observed observed) {
        var ttl = subject.work().ttl();
        var end = subject.status().finishedAt();
        if (ttl.isEmpty() || end.isEmpty() || !subject.status().finished()) {
            return new Deadline.Off();
        }
        return Deadline.at(
                end.get().plus(ttl.get()),
                observed.now(),
                Reason.Expired,
                "Finished at " + end.get() + "; ttlSecondsAfterFinished is over");
    }
}
