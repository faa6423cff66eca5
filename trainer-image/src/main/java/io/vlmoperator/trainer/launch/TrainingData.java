package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.text.Tokenizer;
import io.vlmoperator.trainer.train.RowSource;
import io.vlmoperator.trainer.train.Trainer;

/** The Datasets of a training job as rows. */
record TrainingData(Locations locations) implements Trainer.Data {
    @Override
    public RowSource open(FrozenJob job, ModelConfig model, Tokenizer tokenizer) {
        throw TrainerException.configuration("training data is not built in yet " + locations);
    }
}
