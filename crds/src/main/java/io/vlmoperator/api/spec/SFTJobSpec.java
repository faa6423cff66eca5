package io.vlmoperator.api.spec;

import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import java.util.List;

/** Supervised fine-tuning on conversations, from a checkpoint. Missing values are those of the paper. */
@ValidationRule(
        value = "(has(self.batch.microSize) ? self.batch.microSize : 2)"
                + " <= (has(self.batch.globalSize) ? self.batch.globalSize : 128)",
        message = Messages.MICRO_SIZE_SFT,
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
public record SFTJobSpec(
        @JsonPropertyDescription("The checkpoint to start from: exactly one of pretrainJob, sftJob and location.")
        @Required
        From from,

        @JsonPropertyDescription("What changes of the model that comes with the checkpoint.") @Default("{}")
        Model model,

        @JsonPropertyDescription(
                "How a conversation becomes text: ChatML, or PaperCompatible (the malformed header of the released code).")
        @Default("ChatML")
        Template template,

        @JsonPropertyDescription("What is read: Datasets of conversations.") @Required @Size(min = 1, max = 32)
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
    public SFTJobSpec {
        model = Defaults.or(model, new Model(null, null));
        template = Defaults.or(template, Template.ChatML);
        data = Defaults.copy(data);
        batch = Defaults.or(batch, new Batch(null, null, null, null, null))
                .orSize(128, 2)
                .orGrouped();
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
    @ValidationRule(
            value = "[has(self.pretrainJob), has(self.sftJob), has(self.location)].filter(x, x).size() == 1",
            message = Messages.FROM_FORM)
    public record From(
            @JsonPropertyDescription("A checkpoint of a PretrainJob in the same namespace.")
            CheckpointRef pretrainJob,

            @JsonPropertyDescription("A checkpoint of another SFTJob in the same namespace.")
            CheckpointRef sftJob,

            @JsonPropertyDescription("A checkpoint folder of this project.")
            @Size(max = 1024)
            @Pattern(Patterns.LOCATION)
            String location) {}

    /** The language and vision models come with the checkpoint; the projector keeps its weights at any number of tokens. */
    public record Model(
            @JsonPropertyDescription("From the vision encoder to the language model.")
            @Default("{\"tokensPerImage\": 729}")
            Projector projector,

            @JsonPropertyDescription("The parts whose weights change; the others are frozen.")
            @Default("[\"Projector\", \"Language\"]")
            @Size(min = 1, max = 3)
            List<Part> train) {
        public Model {
            projector = Defaults.or(projector, new Projector(729));
            train = train == null ? List.of(Part.Projector, Part.Language) : List.copyOf(train);
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
