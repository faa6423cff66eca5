package io.vlmoperator.operator.model;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.EnvVar;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.Evaluate;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.api.spec.JobOutput;
import io.vlmoperator.api.spec.PretrainJobSpec;
import io.vlmoperator.api.spec.Resources;
import io.vlmoperator.api.spec.SFTJobSpec;
import io.vlmoperator.api.spec.Toleration;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.spec.Workers;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The spec of one of the four kinds, seen by what they have in common: something that runs in attempts of one or more pods. */
public sealed interface Work {
    Kind kind();

    Failure failure();

    boolean suspend();

    Optional<Duration> ttl();

    /** Where the result goes. */
    JobOutput output();

    /** The pods of an attempt at all of the work. */
    Workers workers();

    /** The pods of an attempt at one stage; null: at all of the work. */
    default Workers workers(DatasetStage stage) {
        return workers();
    }

    /** The parts that are attempted one after the other; empty: all is one. */
    default List<DatasetStage> stages() {
        return List.of();
    }

    default Optional<Evaluate> evaluate() {
        return Optional.empty();
    }

    default int processesPerNode(DatasetStage stage) {
        return Math.max(1, workers(stage).gpusPerNode());
    }

    /** A Dataset is made. */
    record DatasetWork(DatasetSpec spec) implements Work {
        @Override
        public Kind kind() {
            return Kind.Dataset;
        }

        @Override
        public Failure failure() {
            return spec.failure();
        }

        @Override
        public boolean suspend() {
            return spec.suspend();
        }

        @Override
        public Optional<Duration> ttl() {
            return seconds(spec.ttlSecondsAfterFinished());
        }

        @Override
        public JobOutput output() {
            return new JobOutput(spec.output().location(), spec.output().secretRef());
        }

        @Override
        public Workers workers() {
            var data = spec.workers();
            Resources resources = data.resources();
            List<EnvVar> env = data.env();
            Map<String, String> selector = data.nodeSelector();
            List<Toleration> tolerations = data.tolerations();
            return new Workers(
                    data.count(), null, 0, null, null, resources, env, selector, tolerations, null, data.queue());
        }

        @Override
        public Workers workers(DatasetStage stage) {
            return stage == null ? workers() : stage.pods(spec.workers());
        }

        @Override
        public List<DatasetStage> stages() {
            return DatasetStage.of(spec);
        }
    }

    /** A model is trained. */
    sealed interface TrainingWork extends Work {
        TrainingSpec spec();

        @Override
        default Failure failure() {
            return spec().failure();
        }

        @Override
        default boolean suspend() {
            return spec().suspend();
        }

        @Override
        default Optional<Duration> ttl() {
            return seconds(spec().ttlSecondsAfterFinished());
        }

        @Override
        default JobOutput output() {
            return spec().output();
        }

        @Override
        default Workers workers() {
            return spec().workers();
        }

        @Override
        default Optional<Evaluate> evaluate() {
            return Optional.ofNullable(spec().evaluate());
        }
    }

    /** Pre-training. */
    record PretrainWork(PretrainJobSpec spec) implements TrainingWork {
        @Override
        public Kind kind() {
            return Kind.PretrainJob;
        }
    }

    /** Fine-tuning. */
    record SftWork(SFTJobSpec spec) implements TrainingWork {
        @Override
        public Kind kind() {
            return Kind.SFTJob;
        }
    }

    /** A checkpoint is scored. */
    record EvalWork(EvalJobSpec spec) implements Work {
        @Override
        public Kind kind() {
            return Kind.EvalJob;
        }

        @Override
        public Failure failure() {
            return spec.failure();
        }

        @Override
        public boolean suspend() {
            return spec.suspend();
        }

        @Override
        public Optional<Duration> ttl() {
            return seconds(spec.ttlSecondsAfterFinished());
        }

        @Override
        public JobOutput output() {
            return spec.output() == null ? new JobOutput(null, null) : spec.output();
        }

        @Override
        public Workers workers() {
            return spec.workers();
        }
    }

    private static Optional<Duration> seconds(Integer value) {
        return Optional.ofNullable(value).map(Duration::ofSeconds);
    }
}
