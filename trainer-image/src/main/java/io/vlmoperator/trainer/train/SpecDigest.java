package io.vlmoperator.trainer.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.Json;
import java.util.List;

/** Identifies what a run trains: the spec without the fields that may change while it goes on, and without its own place. */
public final class SpecDigest {
    private static final List<String> MUTABLE =
            List.of("suspend", "ttlSecondsAfterFinished", "failure", "evaluate", "workers", "output", "checkpoints");

    private SpecDigest() {}

    /** {@code sha256:...}. */
    public static String of(TrainingSpec spec) {
        ObjectNode tree = (ObjectNode) Json.tree(spec);
        tree.remove(MUTABLE);
        tree.put("kind", spec.getClass().getSimpleName());
        return Json.digest(tree);
    }

    /** The training spec of a frozen job. */
    public static TrainingSpec training(FrozenJob job) {
        return job.pretrain() != null ? job.pretrain() : job.sft();
    }
}
