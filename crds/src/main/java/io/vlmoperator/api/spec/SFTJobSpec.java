package io.vlmoperator.api.spec;

import java.util.List;

/** Supervised fine-tuning on conversations, from a checkpoint. Missing values are those of the paper. */
public record SFTJobSpec(
        From from,
        Model model,
        Template template,
        List<DataRef> data,
        Batch batch,
        Augment augment,
        Loss loss,
        Optimizer optimizer,
        Schedule schedule,
        Precision precision,
        Recompute recompute,
        Determinism determinism,
        Long seed,
        Workers workers,
        JobOutput output,
        Checkpoints checkpoints,
        Failure failure,
        Evaluate evaluate,
        Boolean suspend,
        Integer ttlSecondsAfterFinished)
        implements TrainingSpec {
    public SFTJobSpec {
        model = Defaults.or(model, new Model(null, null));
        template = Defaults.or(template, Template.ChatML);
        data = Defaults.copy(data);
        batch = Defaults.or(batch, new Batch(null, null, null, null, null)).orSize(128, 2);
        augment = Defaults.or(augment, Augment.NONE);
        loss = Defaults.or(loss, new Loss(null));
        optimizer = Defaults.or(optimizer, Optimizer.UNSET).or(2e-5, 0.1);
        schedule = Defaults.or(schedule, Schedule.DEFAULT);
        precision = Defaults.or(precision, Precision.BFloat16);
        recompute = Defaults.or(recompute, Recompute.None);
        determinism = Defaults.or(determinism, Determinism.Fast);
        seed = Defaults.or(seed, 7L);
        workers = Defaults.or(workers, Workers.DEFAULT);
        checkpoints = Defaults.or(checkpoints, Checkpoints.DEFAULT);
        failure = Defaults.or(failure, Failure.DEFAULT);
        suspend = Defaults.or(suspend, false);
    }

    @Override
    public int tokensPerImage() {
        return model.projector().tokensPerImage();
    }

    @Override
    public List<Part> trainedParts() {
        return model.train();
    }

    /** The checkpoint to start from: of a job, or at a location (a checkpoint folder of this project). */
    public record From(CheckpointRef pretrainJob, CheckpointRef sftJob, String location) {}

    /** The language and vision models come with the checkpoint; the projector keeps its weights at any number of tokens. */
    public record Model(Projector projector, List<Part> train) {
        public Model {
            projector = Defaults.or(projector, new Projector(729));
            train = train == null || train.isEmpty() ? List.of(Part.Projector, Part.Language) : List.copyOf(train);
        }
    }

    /** How a conversation becomes text. */
    public enum Template {
        /** Qwen2.5's ChatML, answers and their end token are targets. */
        ChatML,
        /** The malformed header of the released code. */
        PaperCompatible
    }
}
