package io.vlmoperator.operator.plan;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.status.Attempt;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.policy.Reason;
import java.util.List;
import java.util.Optional;

/**
 * Work whose stages are attempts of their own, one after the other. The last attempt says where it stands: one that completed its stage is
 * followed by the next stage, any other by the same one, which begins again where it was. So it goes on, too, when a person gives
 * {@code workers.stages} or takes it away in between.
 */
final class Stages {
    private Stages() {}

    /** Whether nothing follows an attempt. */
    static boolean complete(Attempt last) {
        return succeeded(last)
                && DatasetStage.ofWord(last.stage())
                        .map(stage -> stage == DatasetStage.Pack)
                        .orElse(true);
    }

    /** What the next attempt does; empty: all of the work. */
    static Optional<DatasetStage> next(Work work, Optional<Attempt> last) {
        List<DatasetStage> stages = work.stages();
        Optional<DatasetStage> before = last.flatMap(attempt -> DatasetStage.ofWord(attempt.stage()));
        if (before.isEmpty()) {
            return stages.stream().findFirst();
        }
        return succeeded(last.get())
                ? before.get().next(stages)
                : stages.stream()
                        .filter(stage -> stage.compareTo(before.get()) >= 0)
                        .findFirst();
    }

    /** For messages: {@code " (score, stage 2 of 3)"}; nothing for work without stages. */
    static String words(Work work, Optional<DatasetStage> stage) {
        List<DatasetStage> all = work.stages();
        return stage.map(one -> all.contains(one)
                        ? " (" + one.word() + ", stage " + (all.indexOf(one) + 1) + " of " + all.size() + ")"
                        : " (" + one.word() + ")")
                .orElse("");
    }

    private static boolean succeeded(Attempt attempt) {
        return Reason.Completed.name().equals(attempt.reason());
    }
}
