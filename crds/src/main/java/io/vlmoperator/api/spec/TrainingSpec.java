package io.vlmoperator.api.spec;

import java.util.List;

/** What the two training kinds have in common. */
public sealed interface TrainingSpec permits PretrainJobSpec, SFTJobSpec {
    List<DataRef> data();

    Batch batch();

    Augment augment();

    Loss loss();

    Optimizer optimizer();

    Schedule schedule();

    Precision precision();

    Recompute recompute();

    Determinism determinism();

    Long seed();

    Workers workers();

    JobOutput output();

    Checkpoints checkpoints();

    Failure failure();

    Evaluate evaluate();

    Boolean suspend();

    Integer ttlSecondsAfterFinished();

    /** Visual tokens of one image: a square. */
    int tokensPerImage();

    /** The parts whose weights change; the others are frozen. */
    List<Part> trainedParts();
}
