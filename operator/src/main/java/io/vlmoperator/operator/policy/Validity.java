package io.vlmoperator.operator.policy;

import io.vlmoperator.api.spec.Problem;
import io.vlmoperator.api.spec.SpecChecks;
import io.vlmoperator.operator.model.Resolution.Blocked;
import io.vlmoperator.operator.model.Work;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What the API server let through and still can't run: features that are not built yet, and rules that a CRD of another version did not
 * have. Said before any pod starts.
 */
public final class Validity {
    private static final int SHOWN = 3;

    private Validity() {}

    /** Why this spec can't run; empty when it can. */
    public static Optional<Blocked> check(Work work) {
        var problems = problems(work);
        if (problems.isEmpty()) {
            return Optional.empty();
        }
        var message = problems.stream()
                .limit(SHOWN)
                .map(problem -> problem.path() + ": " + problem.message())
                .collect(Collectors.joining("; "));
        var more = problems.size() > SHOWN ? "; and " + (problems.size() - SHOWN) + " more" : "";
        return Optional.of(new Blocked(Reason.InvalidSpec, message + more, true));
    }

    private static List<Problem> problems(Work work) {
        return switch (work) {
            case Work.DatasetWork dataset -> SpecChecks.check(dataset.spec(), SpecChecks.Where.CLUSTER);
            case Work.PretrainWork pretrain -> SpecChecks.check(pretrain.spec(), SpecChecks.Where.CLUSTER);
            case Work.SftWork sft -> SpecChecks.check(sft.spec(), SpecChecks.Where.CLUSTER);
            case Work.EvalWork eval -> SpecChecks.check(eval.spec(), SpecChecks.Where.CLUSTER);
        };
    }
}
