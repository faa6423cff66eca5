package io.vlmoperator.operator.engine;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.vlmoperator.api.resource.Dataset;
import io.vlmoperator.api.resource.EvalJob;
import io.vlmoperator.api.resource.PretrainJob;
import io.vlmoperator.api.resource.SFTJob;
import io.vlmoperator.operator.model.RunStatus;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.Work;
import io.vlmoperator.operator.status.StatusCodec;
import java.time.Instant;

/** Reads a custom resource of any kind. */
public final class Subjects {
    private Subjects() {}

    /** @throws IllegalArgumentException for anything but the four kinds */
    public static Subject of(HasMetadata resource) {
        return switch (resource) {
            case Dataset dataset ->
                subject(dataset, new Work.DatasetWork(dataset.getSpec()), StatusCodec.read(dataset.getStatus()));
            case PretrainJob pretrain ->
                subject(pretrain, new Work.PretrainWork(pretrain.getSpec()), StatusCodec.read(pretrain.getStatus()));
            case SFTJob sft -> subject(sft, new Work.SftWork(sft.getSpec()), StatusCodec.read(sft.getStatus()));
            case EvalJob eval -> subject(eval, new Work.EvalWork(eval.getSpec()), StatusCodec.read(eval.getStatus()));
            default -> throw new IllegalArgumentException("None of the four kinds: " + resource.getKind());
        };
    }

    private static Subject subject(HasMetadata resource, Work work, RunStatus status) {
        var meta = resource.getMetadata();
        return new Subject(
                work,
                meta.getNamespace(),
                meta.getName(),
                meta.getUid(),
                meta.getGeneration() == null ? 0 : meta.getGeneration(),
                meta.getCreationTimestamp() == null ? Instant.EPOCH : Instant.parse(meta.getCreationTimestamp()),
                meta.getDeletionTimestamp() != null,
                status);
    }

    static Subject withStatus(Subject s, RunStatus status) {
        return new Subject(
                s.work(), s.namespace(), s.name(), s.uid(), s.generation(), s.createdAt(), s.deleting(), status);
    }
}
