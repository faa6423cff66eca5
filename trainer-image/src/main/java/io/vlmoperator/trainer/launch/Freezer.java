package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedCheckpoint;
import io.vlmoperator.api.run.FrozenJob.ResolvedDataset;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.spec.CheckpointRef;
import io.vlmoperator.api.spec.DataRef;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.launch.ManifestFiles.Resource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Resolves references as the operator does, from the last words of the resources that have run before. */
final class Freezer {
    private static final String NAMESPACE = "local";

    private final Map<String, Resource> resources = new HashMap<>();
    private final Map<String, TerminationMessage> finished = new HashMap<>();

    void finished(Resource resource, TerminationMessage message) {
        resources.put(resource.key(), resource);
        finished.put(resource.key(), message);
    }

    /**
     * @param nodes processes of this run
     */
    FrozenJob freeze(Resource resource, int attempt, int nodes) {
        return new FrozenJob(
                FrozenJob.SCHEMA_VERSION,
                resource.kind(),
                NAMESPACE,
                resource.name(),
                NAMESPACE + "-" + resource.kind().shortName() + "-" + resource.name(),
                attempt,
                nodes,
                1,
                resource.spec() instanceof DatasetSpec dataset ? dataset : null,
                resource.spec() instanceof PretrainJobSpec pretrain ? pretrain : null,
                resource.spec() instanceof SFTJobSpec sft ? sft : null,
                resource.spec() instanceof EvalJobSpec eval ? eval : null,
                resource.spec() instanceof TrainingSpec training ? datasets(training) : List.of(),
                switch (resource.spec()) {
                    case SFTJobSpec sft ->
                        checkpoint(
                                sft.from().pretrainJob(),
                                sft.from().sftJob(),
                                sft.from().location());
                    case EvalJobSpec eval ->
                        checkpoint(
                                eval.checkpoint().pretrainJob(),
                                eval.checkpoint().sftJob(),
                                eval.checkpoint().location());
                    default -> null;
                });
    }

    private List<ResolvedDataset> datasets(TrainingSpec spec) {
        List<ResolvedDataset> resolved = new ArrayList<>();
        for (DataRef reference : spec.data()) {
            String key = Resource.key(Kind.Dataset, reference.dataset());
            DatasetSpec dataset = (DatasetSpec) resources.get(key).spec();
            resolved.add(new ResolvedDataset(
                    reference.dataset(),
                    dataset.output().location(),
                    reference.weight(),
                    Optional.ofNullable(finished.get(key).dataset())
                            .map(d -> d.digest())
                            .orElse(null)));
        }
        return resolved;
    }

    private ResolvedCheckpoint checkpoint(CheckpointRef pretrain, CheckpointRef sft, String location) {
        if (pretrain == null && sft == null) {
            return location == null ? null : new ResolvedCheckpoint(location, null, null);
        }
        CheckpointRef reference = pretrain != null ? pretrain : sft;
        String key = Resource.key(pretrain != null ? Kind.PretrainJob : Kind.SFTJob, reference.name());
        TerminationMessage words = finished.get(key);
        TrainingSpec spec = (TrainingSpec) resources.get(key).spec();
        return switch (reference.select()) {
            case Latest -> of(Optional.ofNullable(words.checkpoint()), key, "no checkpoint");
            case Best ->
                of(
                        Optional.ofNullable(words.best()),
                        key,
                        "no best checkpoint: give it checkpoints.keep.best, or select Latest");
            case Step ->
                new ResolvedCheckpoint(
                        spec.output().location(), reference.step() == null ? null : (long) reference.step(), null);
        };
    }

    private static ResolvedCheckpoint of(Optional<Checkpoint> checkpoint, String key, String missing) {
        Checkpoint found = checkpoint.orElseThrow(() -> TrainerException.configuration(key + " has " + missing));
        return new ResolvedCheckpoint(found.location(), null, found.digest());
    }
}
