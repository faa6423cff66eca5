package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.Device;
import io.vlmoperator.trainer.op.Gpus;

/** Whether the device at hand is the one that a job asks for. */
final class Gpu {
    private Gpu() {}

    /**
     * A job that asks for GPUs is not computed on the processor, where it would take years; nor one in BFLOAT16 on a card without it.
     *
     * @param device of this process
     * @param gpus that it sees
     * @throws TrainerException InvalidConfiguration
     */
    static void require(FrozenJob job, Device device, Gpus gpus) {
        int wanted = workers(job).gpusPerNode();
        if (device.isHost()) {
            if (wanted > 0) {
                throw TrainerException.configuration("the job asks for workers.gpusPerNode " + wanted
                        + ", but this process has no GPU to compute on: "
                        + gpus.why().orElse("VLM_DEVICE=cpu keeps it off the GPU")
                        + ". Use a node and an image with CUDA, or write gpusPerNode: 0");
            }
            return;
        }
        Gpus.Gpu gpu = gpus.all().getFirst();
        if (!gpu.hasBfloat16() && bfloat16(job)) {
            throw TrainerException.configuration(
                    "precision BFloat16 needs compute capability 8.0 or newer, but this is " + gpu
                            + "; write precision: Float32");
        }
    }

    private static boolean bfloat16(FrozenJob job) {
        TrainingSpec spec = job.pretrain() != null ? job.pretrain() : job.sft();
        return spec != null && spec.precision() == Precision.BFloat16;
    }

    /** What a job asks for; a Dataset asks for no GPU. */
    static Workers workers(FrozenJob job) {
        return switch (job.kind()) {
            case Dataset -> Workers.DEFAULT;
            case PretrainJob -> job.pretrain().workers();
            case SFTJob -> job.sft().workers();
            case EvalJob -> job.eval().workers();
        };
    }
}
