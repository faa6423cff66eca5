package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.data.DatasetBuilder;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.eval.CaptionFilter;
import io.vlmoperator.trainer.eval.EvalStage;
import io.vlmoperator.trainer.fetch.Fetches;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.train.RunFacts;
import io.vlmoperator.trainer.train.StopSignal;
import io.vlmoperator.trainer.train.Trainer;
import io.vlmoperator.trainer.train.Watchdog;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Runs one frozen job on one rank and says how it ended: the same for a pod and for {@code vlm-trainer run}.
 *
 * @param index the rank
 * @param communicator opened only by the kinds that need the other ranks
 * @param threads for work on data
 * @param profiledSteps how many steps of a training to profile
 */
record Stage(
        FrozenJob job,
        Locations locations,
        int index,
        Supplier<Communicator> communicator,
        Progress progress,
        StopSignal stop,
        Watchdog watchdog,
        RunFacts facts,
        int threads,
        Consumer<String> log,
        int profiledSteps) {

    /** How long pod 0 of a Dataset waits without any news of the others, and they of its downloads. */
    private static final Duration PATIENCE = Duration.ofMinutes(30);

    /** What a stage made, besides its files. */
    record Made(Optional<DatasetSummary> dataset, List<BenchmarkResult> results) {
        static final Made NOTHING = new Made(Optional.empty(), List.of());
    }

    /** Runs to the end and returns the last words; nothing is thrown. */
    TerminationMessage end() {
        try {
            Made made = run();
            return message(ExitCode.Completed, Ending.completed(facts.warnings()), made);
        } catch (Throwable e) {
            ExitCode code = Ending.code(e);
            if (code == ExitCode.InternalError) {
                java.io.StringWriter text = new java.io.StringWriter();
                e.printStackTrace(new java.io.PrintWriter(text, true));
                log.accept(text.toString());
            }
            return message(code, Ending.message(e), Made.NOTHING);
        }
    }

    TerminationMessage message(ExitCode code, String line, Made made) {
        List<Checkpoint> checkpoints = facts.checkpoints();
        return new TerminationMessage(
                code.name(),
                line,
                job.kind() == null || facts.resumedFrom().isEmpty() ? null : facts.step(),
                facts.resumedFrom().orElse(null),
                checkpoints.isEmpty() ? null : checkpoints.getFirst(),
                facts.best().orElse(null),
                index,
                made.dataset().orElse(null),
                made.results(),
                facts.export().orElse(null));
    }

    private Made run() {
        return switch (job.kind()) {
            case Dataset -> dataset();
            case PretrainJob, SFTJob -> train();
            case EvalJob -> evaluate();
        };
    }

    private Made train() {
        requireDevice();
        try (Communicator ranks = communicator.get()) {
            new Trainer(new Trainer.Context(
                            job,
                            locations,
                            ranks,
                            new TrainingData(locations, threads),
                            progress,
                            stop,
                            watchdog,
                            facts,
                            log,
                            Faults.NONE,
                            profiledSteps))
                    .run();
        }
        return Made.NOTHING;
    }

    private void requireDevice() {
        Torch torch = Torch.start();
        Gpu.require(job, torch.device(), torch.gpus());
        Gpu.requireExact(job, torch.device(), job.nodes() * job.processesPerNode(), System.getenv());
    }

    private Made dataset() {
        Optional<DatasetStage> part = Optional.ofNullable(job.stage());
        DatasetProgress told = new DatasetProgress(progress, log, System::nanoTime);
        if (!job.dataset().fetch().isEmpty() && part.orElse(DatasetStage.Fetch) == DatasetStage.Fetch) {
            told.stage(DatasetStage.Fetch);
            new FetchStage(Fetches.of(locations, System.getenv(), fetched()), PATIENCE)
                    .run(job.dataset().fetch(), index);
        }
        if (part.filter(stage -> stage == DatasetStage.Score).isPresent()) {
            requireDevice();
        }
        int workers = job.nodes() * job.processesPerNode();
        Optional<DatasetSummary> summary = new DatasetBuilder(
                        job.dataset(),
                        locations,
                        new DatasetBuilder.Options(index, workers, threads, PATIENCE, part),
                        CaptionFilter.opener(threads))
                .build(told);
        summary.ifPresent(told::finished);
        return new Made(summary, List.of());
    }

    private Fetches.Listener fetched() {
        return new Fetches.Listener() {
            @Override
            public void say(String line) {
                log.accept(line);
            }

            @Override
            public void far(FetchProgress far, Optional<Long> etaSeconds) {
                progress.report(
                        report(null, null, Optional.empty(), List.of(), etaSeconds.orElse(null), far),
                        far.filesDone().equals(far.filesTotal()));
            }
        };
    }

    private Made evaluate() {
        requireDevice();
        EvalReports reports = new EvalReports(progress, stop, log);
        try (Communicator ranks = communicator.get()) {
            return new Made(Optional.empty(), EvalStage.run(job, locations, ranks, reports));
        }
    }

    static ProgressReport report(
            long done, long total, Optional<DatasetSummary> dataset, List<BenchmarkResult> results, Long etaSeconds) {
        return report(done, total, dataset, results, etaSeconds, null);
    }

    private static ProgressReport report(
            Long done,
            Long total,
            Optional<DatasetSummary> dataset,
            List<BenchmarkResult> results,
            Long etaSeconds,
            FetchProgress fetch) {
        return new ProgressReport(
                null,
                null,
                null,
                null,
                null,
                done,
                total,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                etaSeconds,
                null,
                null,
                List.of(),
                null,
                dataset.orElse(null),
                results,
                List.of(),
                null,
                fetch,
                fetch == null ? null : DatasetStage.Fetch.word());
    }

    static String percent(long done, long total) {
        return total == 0 ? "" : String.format(Locale.ROOT, " (%.0f%%)", 100.0 * done / total);
    }
}
