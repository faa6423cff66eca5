package io.vlmoperator.api.spec;

import java.util.List;

/** Pre-training on packed caption rows. Missing values are those of the paper (its tables 6 and 7). */
public record PretrainJobSpec(
        Model model,
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
    public PretrainJobSpec {
        data = Defaults.copy(data);
        batch = Defaults.or(batch, new Batch(null, null, null, null, null)).orSize(256, 4);
        augment = Defaults.or(augment, Augment.NONE);
        loss = Defaults.or(loss, new Loss(null));
        optimizer = Defaults.or(optimizer, Optimizer.UNSET).or(5e-5, 0.01);
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

    /**
     * @param train the parts whose weights change
     */
    public record Model(Language language, Vision vision, Projector projector, List<Part> train) {
        public Model {
            projector = Defaults.or(projector, new Projector(144));
            train = train == null || train.isEmpty() ? List.of(Part.Projector, Part.Language) : List.copyOf(train);
        }
    }
}
