package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.trainer.TrainerException;

/** What all kinds of frozen jobs have in common. */
final class FrozenJobs {
    private static final int MAX_PROCESSES = 64;

    private FrozenJobs() {}

    /** @throws TrainerException InvalidConfiguration when something that every job has is missing */
    static void requireComplete(FrozenJob job) {
        if (job.kind() == null || job.name() == null || job.uid() == null || job.attempt() == null) {
            throw TrainerException.configuration("the frozen job lacks kind, name, uid or attempt");
        }
        if (job.attempt() < 1 || job.nodes() < 1 || job.processesPerNode() < 1) {
            throw TrainerException.configuration("the frozen job has attempt " + job.attempt() + ", " + job.nodes()
                    + " nodes of " + job.processesPerNode() + " processes");
        }
        if (job.processesPerNode() > MAX_PROCESSES) {
            throw TrainerException.configuration(
                    "workers.gpusPerNode " + job.processesPerNode() + ", at most " + MAX_PROCESSES);
        }
        boolean has = switch (job.kind()) {
            case Dataset -> job.dataset() != null;
            case PretrainJob -> job.pretrain() != null;
            case SFTJob -> job.sft() != null;
            case EvalJob -> job.eval() != null;
        };
        if (!has) {
            throw TrainerException.configuration("the frozen job is a " + job.kind() + " without its spec");
        }
    }

    /**
     * The job with the pods that a queue has admitted, which may be fewer than were asked for.
     *
     * @param nodes null when no queue could say less
     */
    static FrozenJob admitted(FrozenJob job, String nodes) {
        if (nodes == null) {
            return job;
        }
        if (!nodes.matches("[1-9]\\d{0,4}") || Integer.parseInt(nodes) > job.nodes()) {
            throw TrainerException.configuration(
                    PodEnvironment.NODES + " is '" + nodes + "'; 1 to " + job.nodes() + " pods are expected");
        }
        return job.withNodes(Integer.parseInt(nodes));
    }

    static Failure failure(FrozenJob job) {
        return switch (job.kind()) {
            case Dataset -> job.dataset().failure();
            case PretrainJob -> job.pretrain().failure();
            case SFTJob -> job.sft().failure();
            case EvalJob -> job.eval().failure();
        };
    }
}
