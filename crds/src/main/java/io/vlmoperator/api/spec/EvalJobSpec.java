package io.vlmoperator.api.spec;

import java.util.List;

/** Scores a checkpoint on benchmarks. */
public record EvalJobSpec(
        Checkpoint checkpoint,
        List<Benchmark> benchmarks,
        Generation generation,
        Workers workers,
        JobOutput output,
        Failure failure,
        Boolean suspend,
        Integer ttlSecondsAfterFinished) {
    public EvalJobSpec {
        benchmarks = Defaults.copy(benchmarks);
        generation = Defaults.or(generation, new Generation(null));
        workers = Defaults.or(workers, Workers.DEFAULT);
        failure = Defaults.or(failure, Failure.DEFAULT);
        suspend = Defaults.or(suspend, false);
    }

    /** What is scored; exactly one is set. {@code endpoint} is the base url of a server that speaks OpenAI's API. */
    public record Checkpoint(CheckpointRef pretrainJob, CheckpointRef sftJob, String location, String endpoint) {}

    /** How an answer is asked for and scored. */
    public enum Protocol {
        /** Generated answer: a letter or exactly one option's text; the community's rules. */
        Strict,
        /** What the paper's harness did: lenient containment. */
        PaperCompatible,
        /** Each option's text scored by the model; the likeliest is the answer. */
        OptionLikelihood
    }
}
