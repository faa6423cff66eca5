package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** Pre-training on packed caption rows. Missing values are those of the paper (its tables 6 and 7). */
@ValidationRule(
        value = "(has(self.batch.microSize) ? self.batch.microSize : 4)"
                + " <= (has(self.batch.globalSize) ? self.batch.globalSize : 256)",
        message = Messages.MICRO_SIZE,
        fieldPath = ".batch.microSize")
@ValidationRule(
        value = "self.batch.contextLength > self.model.projector.tokensPerImage",
        message = Messages.CONTEXT,
        fieldPath = ".batch.contextLength")
@ValidationRule(
        value =
                "!has(self.checkpoints.keep.best) || !has(self.checkpoints.keep.best.metric.benchmark) || (has(self.evaluate)"
                        + " && self.evaluate.benchmarks.exists(b, b.name == self.checkpoints.keep.best.metric.benchmark.name"
                        + " && self.checkpoints.keep.best.metric.benchmark.protocol in b.protocols))",
        message = Messages.BEST_BENCHMARK)
@ValidationRule(
        value = "!has(self.batch.groupByLength)",
        message = Messages.GROUP_BY_LENGTH,
        reason = "FieldValueForbidden",
        fieldPath = ".batch.groupByLength")
public record PretrainJobSpec(
        @JsonPropertyDescription("The model that is trained.") @Required
        Model model,

        @JsonPropertyDescription("What is read: Datasets of captions, packed to batch.contextLength.")
        @Required
        @Size(min = 1, max = 32)
        List<DataRef> data,

        @JsonPropertyDescription("How many rows make up a step, and how long they are.") @Default("{}")
        Batch batch,

        @JsonPropertyDescription("Random changes of the training images; all are off by default.") @Default("{}")
        Augment augment,

        @JsonPropertyDescription("How token losses become one number.") @Default("{}")
        Loss loss,

        @JsonPropertyDescription("AdamW.") @Default("{}") Optimizer optimizer,

        @JsonPropertyDescription("The learning rate over the run, and its end.") @Default("{}")
        Schedule schedule,

        @JsonPropertyDescription(
                "Number format of the forward and backward passes; the master weights are always 32 bits.")
        @Default("BFloat16")
        Precision precision,

        @JsonPropertyDescription(
                "Which activations are computed again in the backward pass instead of kept: None, those that are cheap (norms, activation functions,"
                        + " attention), or Full: all of a layer but its input. The result is the same.")
        @Default("None")
        Recompute recompute,

        @JsonPropertyDescription("Exact: the same bits on every run on a GPU, at some cost; on a CPU both are exact.")
        @Default("Fast")
        Determinism determinism,

        @JsonPropertyDescription("Seed of weights, order and augmentation.")
        @Default("7")
        @Min(0)
        @Max(9_007_199_254_740_991d)
        Long seed,

        @JsonPropertyDescription("The pods that train. May be changed; counts from the next attempt on.") @Default("{}")
        Workers workers,

        @JsonPropertyDescription("Where checkpoints, exports and metrics are written.") @Required
        JobOutput output,

        @JsonPropertyDescription("When checkpoints are written and which are kept. keep may be changed.") @Default("{}")
        Checkpoints checkpoints,

        @JsonPropertyDescription("Restarts and deadlines. May be changed.") @Default("{}")
        Failure failure,

        @JsonPropertyDescription("Scores every so many checkpoints. May be changed.")
        Evaluate evaluate,

        @JsonPropertyDescription("true saves and stops the pods; false goes on from there. May be changed.")
        @Default("false")
        Boolean suspend,

        @JsonPropertyDescription(
                "The resource is deleted so many seconds after it ended; files in storage stay. Missing: never. May be changed.")
        @Min(0)
        @Max(Integer.MAX_VALUE)
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

    /** The model that is trained. */
    @ValidationRule(
            value =
                    "!has(self.vision.config) || self.projector.tokensPerImage <= (self.vision.config.imageSize"
                            + " / self.vision.config.patchSize) * (self.vision.config.imageSize / self.vision.config.patchSize)",
            message = Messages.GRID,
            fieldPath = ".projector.tokensPerImage")
    public record Model(
            @JsonPropertyDescription(
                    "The language model: a Hugging Face folder, or sizes for a start from random weights.")
            @Required
            Language language,

            @JsonPropertyDescription(
                    "The vision encoder: a Hugging Face SigLIP folder, or sizes for a start from random weights.")
            @Required
            Vision vision,

            @JsonPropertyDescription("From the vision encoder to the language model.")
            @Default("{\"tokensPerImage\": 144}")
            Projector projector,

            @JsonPropertyDescription("The parts whose weights change; the others are frozen.")
            @Default("[\"Projector\", \"Language\"]")
            @Size(min = 1, max = 3)
            List<Part> train) {
        public Model {
            projector = Defaults.or(projector, new Projector(144));
            train = train == null ? List.of(Part.Projector, Part.Language) : List.copyOf(train);
        }
    }
}
