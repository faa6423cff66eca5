package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.FrozenJob.ResolvedCheckpoint;
import io.vlmoperator.api.spec.Benchmark;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.data.Bicubic;
import io.vlmoperator.trainer.data.ImageDecoder;
import io.vlmoperator.trainer.data.Normalize;
import io.vlmoperator.trainer.data.Pixels;
import io.vlmoperator.trainer.data.RejectedException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Pattern;

/** Runs an EvalJob. Every worker runs it, and what it makes does not depend on how many there are. */
public final class EvalStage {
    /** Benchmark names become file names. */
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

    private static final int MOST_NEW_TOKENS = 4096;

    /** Hears how far an evaluation is. */
    @FunctionalInterface
    public interface Progress {
        /**
         * @param done rows asked, skipped or taken over from an earlier attempt, over all benchmarks and protocols
         * @param results finished so far, fit for a status
         */
        void report(long done, long total, List<BenchmarkResult> results);
    }

    private EvalStage() {}

    /**
     * Scores the job's checkpoint on all its benchmarks and writes {@code results.json} and {@code predictions/} into the run folder. What
     * an earlier attempt finished there is taken over when checkpoint, data and prompts are the same. The first worker alone writes.
     *
     * @param ranks the workers of this attempt
     * @return one result for each benchmark, protocol and metric, in the order of the spec, fit for a status; empty on all workers but the
     *     first
     * @throws TrainerException InvalidConfiguration for a spec that can't work, a checkpoint that is not there or a tokenizer that does not
     *     fit it; InvalidData for a benchmark or a checkpoint that is damaged; StorageFailed
     */
    public static List<BenchmarkResult> run(FrozenJob job, Locations locations, Communicator ranks, Progress progress) {
        EvalJobSpec spec = job.eval();
        if (spec == null) {
            throw new IllegalArgumentException("job " + job.name() + " is no EvalJob");
        }
        check(spec);
        ResolvedCheckpoint checkpoint = checkpoint(job);
        Path run = locations.resolve(spec.output().location());
        // Benchmarks first: what is wrong with them is known within seconds.
        List<Task> tasks = new ArrayList<>();
        for (Benchmark benchmark : spec.benchmarks()) {
            tasks.add(Task.read(
                    benchmark.name(),
                    locations.resolve(benchmark.location()),
                    benchmark.protocols(),
                    Optional.ofNullable(benchmark.fewShot()),
                    images()));
        }
        try (Scope scope = Scope.open()) {
            ModelLoader.Source source =
                    ModelLoader.find(locations.resolve(checkpoint.location()), Optional.ofNullable(checkpoint.step()));
            if (checkpoint.digest() != null && !checkpoint.digest().equals(source.digest())) {
                throw TrainerException.configuration("the checkpoint " + source.folder() + " has digest "
                        + source.digest() + ", but " + checkpoint.digest()
                        + " was asked for: it has been replaced since; create the EvalJob again");
            }
            ModelLoader.Loaded loaded = ModelLoader.open(source, Set.of(), OptionalInt.empty(), scope);
            try (Tokenizer tokenizer = Tokenizer.load(folder(loaded.tokenizer()))) {
                Subject subject = new Subject(loaded.model(), tokenizer, loaded.step(), loaded.digest());
                return new Evaluator(
                                subject,
                                style(spec),
                                spec.generation().maxNewTokens(),
                                ranks.rank() == 0 ? Optional.of(new RunFiles(run)) : Optional.empty(),
                                ranks,
                                progress)
                        .run(tasks);
            }
        }
    }

    private static void check(EvalJobSpec spec) {
        if (spec.benchmarks().isEmpty()) {
            throw TrainerException.configuration("spec.benchmarks is empty: name at least one");
        }
        if (spec.output() == null || spec.output().location() == null) {
            throw TrainerException.configuration("spec.output.location is missing: name the run folder");
        }
        int tokens = spec.generation().maxNewTokens();
        if (tokens < 1 || tokens > MOST_NEW_TOKENS) {
            throw TrainerException.configuration(
                    "spec.generation.maxNewTokens is " + tokens + "; 1 to " + MOST_NEW_TOKENS + " is possible");
        }
        Set<String> names = new HashSet<>();
        for (Benchmark benchmark : spec.benchmarks()) {
            String name = benchmark.name();
            if (name == null || !NAME.matcher(name).matches()) {
                throw TrainerException.configuration("the benchmark name '" + name
                        + "' can't be a file name: use letters, digits, '.', '_' and '-', at most 63");
            }
            if (!names.add(name)) {
                throw TrainerException.configuration(
                        "two benchmarks are called " + name + "; give each a name of its own");
            }
            if (benchmark.location() == null) {
                throw TrainerException.configuration("benchmark " + name + " has no location");
            }
            if (benchmark.protocols().isEmpty()) {
                throw TrainerException.configuration(
                        "benchmark " + name
                                + ": protocols is an empty list; leave it out (Strict), or name Strict, OptionLikelihood or PaperCompatible");
            }
            check(name, benchmark.fewShot());
        }
    }

    private static void check(String benchmark, Benchmark.FewShot fewShot) {
        if (fewShot == null) {
            return;
        }
        if (fewShot.shots() == null || fewShot.shots() < 1) {
            throw TrainerException.configuration(
                    "benchmark " + benchmark + ": fewShot.shots is " + fewShot.shots() + "; at least 1 is needed");
        }
        if (fewShot.seeds().isEmpty()
                || fewShot.seeds().stream().distinct().count() < fewShot.seeds().size()) {
            throw TrainerException.configuration("benchmark " + benchmark + ": fewShot.seeds is " + fewShot.seeds()
                    + "; name at least one, each once");
        }
    }

    private static ResolvedCheckpoint checkpoint(FrozenJob job) {
        if (job.checkpoint() != null) {
            return job.checkpoint();
        }
        EvalJobSpec.Checkpoint asked = job.eval().checkpoint();
        if (asked != null && asked.endpoint() != null) {
            throw TrainerException.configuration(
                    "spec.checkpoint.endpoint: this version scores checkpoints, not servers; name a job or a location");
        }
        if (asked == null || asked.location() == null) {
            throw TrainerException.configuration("spec.checkpoint names nothing to score");
        }
        return new ResolvedCheckpoint(asked.location(), null, null);
    }

    /** A pre-trained model has seen captions only; a location is taken for a fine-tuned one. */
    private static OptionLikelihood.Style style(EvalJobSpec spec) {
        return spec.checkpoint() != null && spec.checkpoint().pretrainJob() != null
                ? OptionLikelihood.Style.Caption
                : OptionLikelihood.Style.Chat;
    }

    private static Path folder(Path tokenizer) {
        return tokenizer.toAbsolutePath().getParent();
    }

    /** Decodes, resizes and normalises as the training data is; without augmentation. */
    static BenchmarkTable.ImageReader images() {
        ImageDecoder decoder = new ImageDecoder();
        return (file, side) -> {
            try {
                Pixels pixels = Bicubic.resize(decoder.decode(file), side, side);
                float[] values = new float[3 * side * side];
                Normalize.toCHW(pixels, values, 0);
                return values;
            } catch (RejectedException e) {
                throw new TrainerException(ExitCode.InvalidData, e.reason() + ": " + e.getMessage(), e);
            }
        };
    }
}
