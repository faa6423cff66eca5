package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.spec.Determinism;
import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.op.Device;
import io.vlmoperator.trainer.op.Gpus;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** Whether the device at hand is the one that a job asks for. */
final class Gpu {
    /** Values that leave cuBLAS and NCCL no choice: one workspace, one algorithm, one protocol. */
    private static final Map<String, Pattern> FIXED = Map.of(
            "CUBLAS_WORKSPACE_CONFIG", Pattern.compile(":4096:8|:16:8"),
            "NCCL_ALGO", Pattern.compile("(?i)ring|tree"),
            "NCCL_PROTO", Pattern.compile("(?i)simple|ll|ll128"));

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
        String field = job.kind() == Kind.Dataset ? "workers.stages.score.gpus" : "workers.gpusPerNode";
        if (device.isHost()) {
            if (wanted > 0) {
                throw TrainerException.configuration("the job asks for " + field + " " + wanted
                        + ", but this process has no GPU to compute on: "
                        + gpus.why().orElse("VLM_DEVICE=cpu keeps it off the GPU")
                        + ". Use a node and an image with CUDA, or write "
                        + field.replaceFirst(".*\\.", "") + ": 0");
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

    /**
     * {@code determinism: Exact} on a GPU needs variables that cuBLAS and NCCL read when they start: {@link PodEnvironment#EXACT}, or other
     * values that leave them no choice. The operator and {@code vlm-trainer run --processes} set them.
     *
     * @param device of this process
     * @param world processes of the job; one alone needs no NCCL
     * @throws TrainerException InvalidConfiguration
     */
    static void requireExact(FrozenJob job, Device device, int world, Map<String, String> environment) {
        if (!device.isHost() && exact(job)) {
            requireFixed(world, environment);
        }
    }

    /** The same, of a process that computes on a GPU and wants the same bits every time. */
    static void requireFixed(int world, Map<String, String> environment) {
        new TreeMap<>(FIXED).forEach((name, fixed) -> {
            String value = environment.getOrDefault(name, "");
            if ((world > 1 || !name.startsWith("NCCL_"))
                    && !fixed.matcher(value).matches()) {
                throw TrainerException.configuration("determinism Exact on a GPU needs the environment variable " + name
                        + "=" + PodEnvironment.EXACT.get(name) + ", but it is '" + value
                        + "'; set it before the start (in a manifest leave it out of workers.env), or write"
                        + " determinism: Fast");
            }
        });
    }

    /** Whether the job wants the same bits from every run. */
    static boolean exact(FrozenJob job) {
        TrainingSpec spec = training(job);
        return spec != null && spec.determinism() == Determinism.Exact;
    }

    private static TrainingSpec training(FrozenJob job) {
        return job.pretrain() != null ? job.pretrain() : job.sft();
    }

    private static boolean bfloat16(FrozenJob job) {
        TrainingSpec spec = training(job);
        return spec != null && spec.precision() == Precision.BFloat16;
    }

    /** What a job asks for; of a Dataset only the stage of scoring asks for GPUs. */
    static Workers workers(FrozenJob job) {
        return switch (job.kind()) {
            case Dataset ->
                job.stage() == null
                        ? Workers.DEFAULT
                        : job.stage().pods(job.dataset().workers());
            case PretrainJob -> job.pretrain().workers();
            case SFTJob -> job.sft().workers();
            case EvalJob -> job.eval().workers();
        };
    }
}
