package io.vlmoperator.operator.policy;

import io.vlmoperator.api.run.Kind;
import io.vlmoperator.api.spec.CheckpointRef;
import io.vlmoperator.api.spec.EvalJobSpec;
import io.vlmoperator.api.spec.Evaluate;
import io.vlmoperator.api.spec.JobOutput;
import io.vlmoperator.api.spec.Workers;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.operator.model.Observed;
import io.vlmoperator.operator.model.Subject;
import io.vlmoperator.operator.model.Work.TrainingWork;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * {@code spec.evaluate}: every n-th checkpoint (and the last one of a complete job) is scored by an EvalJob that the training job owns;
 * its results are copied to {@code status.benchmarks}. One evaluation runs at a time; a checkpoint that is passed over meanwhile is not
 * made up for.
 */
public final class Evaluation {
    /** Most results in a status: the newest steps win. */
    static final int MOST_RESULTS = 12;

    private static final int LONGEST_NAME = 40;

    private Evaluation() {}

    /** An EvalJob that is to be made. */
    public record Wanted(String name, long step, EvalJobSpec spec) {}

    public static Optional<Wanted> next(
            Subject subject, Observed observed, Optional<Checkpoint> latest, boolean complete) {
        if (!(subject.work() instanceof TrainingWork training)
                || training.evaluate().isEmpty()
                || latest.isEmpty()) {
            return Optional.empty();
        }
        var evaluate = training.evaluate().get();
        var checkpoint = latest.get();
        long step = checkpoint.step();
        long every = (long) training.spec().checkpoints().everySteps() * evaluate.everyCheckpoints();
        boolean due = step > 0 && (step % every == 0 || complete);
        long newest = Stream.concat(
                        observed.evaluations().stream().map(Observed.Evaluation::step),
                        subject.status().results().stream()
                                .map(BenchmarkResult::step)
                                .filter(s -> s != null))
                .max(Comparator.naturalOrder())
                .orElse(-1L);
        boolean busy = observed.evaluations().stream().anyMatch(child -> !child.finished());
        if (!due || busy || step <= newest || evaluate.benchmarks().isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new Wanted(name(subject.name(), step), step, spec(subject, training, evaluate, step)));
    }

    /** At most 40 characters, like every resource's name; a shortened one carries a digest of the whole. */
    static String name(String job, long step) {
        var tail = "-step-" + step;
        if (job.length() + tail.length() <= LONGEST_NAME) {
            return job + tail;
        }
        var digest = String.format("-%08x", job.hashCode());
        return job.substring(0, LONGEST_NAME - tail.length() - digest.length()) + digest + tail;
    }

    private static EvalJobSpec spec(Subject subject, TrainingWork training, Evaluate evaluate, long step) {
        var ref = new CheckpointRef(subject.name(), CheckpointRef.Which.Step, Math.toIntExact(step));
        var checkpoint = subject.kind() == Kind.PretrainJob
                ? new EvalJobSpec.Checkpoint(ref, null, null, null)
                : new EvalJobSpec.Checkpoint(null, ref, null, null);
        var like = training.workers();
        var workers = new Workers(
                1,
                1,
                Math.min(1, like.gpusPerNode()),
                like.gpuResource(),
                like.sharedMemory(),
                like.resources(),
                like.env(),
                like.nodeSelector(),
                like.tolerations(),
                like.network(),
                like.queue());
        var output = new JobOutput(
                String.format(
                        "%s/evaluations/step-%09d", strip(training.output().location()), step),
                training.output().secretRef());
        return new EvalJobSpec(
                checkpoint,
                evaluate.benchmarks(),
                evaluate.generation(),
                workers,
                output,
                training.failure(),
                false,
                null);
    }

    private static String strip(String location) {
        return location.endsWith("/") ? location.substring(0, location.length() - 1) : location;
    }

    /** The results for the job's status: those known before, replaced by newer ones of the same benchmark, protocol and step. */
    public static List<BenchmarkResult> results(Subject subject, Observed observed) {
        record Key(String benchmark, String split, String protocol, String metric, Long step) {}
        var merged = new HashMap<Key, BenchmarkResult>();
        Stream.concat(
                        subject.status().results().stream(),
                        observed.evaluations().stream().flatMap(child -> child.results().stream()))
                .forEach(r -> merged.put(new Key(r.benchmark(), r.split(), r.protocol(), r.metric(), r.step()), r));
        return merged.values().stream()
                .sorted(Comparator.comparing((BenchmarkResult r) -> r.step() == null ? 0 : r.step())
                        .reversed()
                        .thenComparing(BenchmarkResult::benchmark)
                        .thenComparing(r -> String.valueOf(r.split()))
                        .thenComparing(r -> String.valueOf(r.protocol()))
                        .thenComparing(r -> String.valueOf(r.metric())))
                .limit(MOST_RESULTS)
                .toList();
    }
}
