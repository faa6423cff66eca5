package io.vlmoperator.api.run;

import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import java.util.List;

/**
 * What one attempt runs: the resource's spec with its references resolved. The operator writes it into the immutable ConfigMap of the
 * attempt (key {@value #FILE}); {@code vlm-trainer run} makes the same value on a laptop. Exactly one of the four specs is set.
 *
 * @param schemaVersion of this type; a newer trainer reads every older one
 * @param attempt from 1
 * @param nodes pods of this attempt
 * @param processesPerNode processes of each pod
 * @param datasets the Datasets of a training job, in the order of {@code spec.data}
 * @param stage the part of a Dataset that this attempt does; null: all of it
 * @param checkpoint where an SFTJob starts and what an EvalJob scores; null otherwise
 */
public record FrozenJob(
        Integer schemaVersion,
        Kind kind,
        String namespace,
        String name,
        String uid,
        Integer attempt,
        Integer nodes,
        Integer processesPerNode,
        DatasetSpec dataset,
        PretrainJobSpec pretrain,
        SFTJobSpec sft,
        EvalJobSpec eval,
        List<ResolvedDataset> datasets,
        ResolvedCheckpoint checkpoint,
        DatasetStage stage) {
    public static final int SCHEMA_VERSION = 1;
    public static final String FILE = "job.json";

    public FrozenJob {
        nodes = nodes == null ? 1 : nodes;
        processesPerNode = processesPerNode == null ? 1 : processesPerNode;
        datasets = datasets == null ? List.of() : List.copyOf(datasets);
    }

    /** A job that is done in one. */
    public FrozenJob(
            Integer schemaVersion,
            Kind kind,
            String namespace,
            String name,
            String uid,
            Integer attempt,
            Integer nodes,
            Integer processesPerNode,
            DatasetSpec dataset,
            PretrainJobSpec pretrain,
            SFTJobSpec sft,
            EvalJobSpec eval,
            List<ResolvedDataset> datasets,
            ResolvedCheckpoint checkpoint) {
        this(
                schemaVersion,
                kind,
                namespace,
                name,
                uid,
                attempt,
                nodes,
                processesPerNode,
                dataset,
                pretrain,
                sft,
                eval,
                datasets,
                checkpoint,
                null);
    }

    /** The same with so many pods. */
    public FrozenJob withNodes(int pods) {
        return new FrozenJob(
                schemaVersion,
                kind,
                namespace,
                name,
                uid,
                attempt,
                pods,
                processesPerNode,
                dataset,
                pretrain,
                sft,
                eval,
                datasets,
                checkpoint,
                stage);
    }

    /**
     * @param location output folder of the Dataset (index and plan)
     * @param weight in the mixture
     * @param digest of the Dataset when it was resolved; the trainer refuses another one
     */
    public record ResolvedDataset(String name, String location, Integer weight, String digest) {}

    /**
     * @param location the checkpoint's folder, or the run folder when {@code step} is null (then the newest complete one)
     * @param step null: the newest
     * @param digest of its manifest, when known
     */
    public record ResolvedCheckpoint(String location, Long step, String digest) {}
}
