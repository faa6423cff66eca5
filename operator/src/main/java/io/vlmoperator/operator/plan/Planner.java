package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Resolution;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.Work;
import java.util.Optional;

/**
 * The one entry to decisions. The same input gives the same plan, and a plan carried out twice changes nothing more: that is what makes
 * restarts of the operator and stale caches harmless.
 */
public final class Planner {
    private Planner() {}

    /** @param retryDigest digest of {@code workers} and {@code failure} as they are now */
    public static Plan decide(Subject subject, Observed observed, String retryDigest) {
        return subject.deleting() ? Plan.NOTHING : new Decision(subject, observed, retryDigest).make();
    }

    static FrozenJob frozen(
            Subject subject, int attempt, int nodes, Optional<DatasetStage> stage, Resolution.Ready refs) {
        var work = subject.work();
        return new FrozenJob(
                FrozenJob.SCHEMA_VERSION,
                subject.kind(),
                subject.namespace(),
                subject.name(),
                subject.uid(),
                attempt,
                nodes,
                work.processesPerNode(stage.orElse(null)),
                work instanceof Work.DatasetWork dataset ? dataset.spec() : null,
                work instanceof Work.PretrainWork pretrain ? pretrain.spec() : null,
                work instanceof Work.SftWork sft ? sft.spec() : null,
                work instanceof Work.EvalWork eval ? eval.spec() : null,
                refs.datasets(),
                refs.checkpoint().orElse(null),
                stage.orElse(null));
    }
}
