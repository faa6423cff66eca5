package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.spec.Determinism;
import io.vlmoperator.api.spec.Loss;
import io.vlmoperator.api.spec.Precision;
import io.vlmoperator.api.spec.Recompute;
import io.vlmoperator.api.spec.Schedule;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Export;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.ModelLoader;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.metric.Reports;
import io.vlmoperator.trainer.metric.StepRecord;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.FusedAdamW;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tape;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Consumer;

/** Runs a PretrainJob or an SFTJob on one rank, from its newest checkpoint or from the start, to the end of its schedule. */
public final class Trainer {
    /** Part of every manifest; changed when the same input would train other weights. */
    static final String CODE_VERSION = "0.3.0";

    private static final long MIN_GRACE_MILLIS = 1000;

    /** The first step, a rewind and the export may take so many times the limit: they read or compile what others don't. */
    private static final int SLOW_FACTOR = 2;

    // Of stepDeadlineSeconds: data end first, at the worker that lacks them; then a collective (3/4), then a save or
    // step.
    private static final long DATA_MILLIS_PER_SECOND = 600;
    private static final long STEP_MILLIS_PER_SECOND = 950;

    /** Opens the training data of a job. */
    @FunctionalInterface
    public interface Data {
        /**
         * @param model sizes of the model that will read it
         * @param tokenizer of the model
         */
        RowSource open(FrozenJob job, ModelConfig model, Tokenizer tokenizer);
    }

    /**
     * What a run needs besides its job.
     *
     * @param facts is told what happens, for the last words
     * @param log gets lines for people; rank 0 writes one a step
     * @param faults for tests
     * @param profiledSteps how many steps to profile, 0 for none
     */
    public record Context(
            FrozenJob job,
            Locations locations,
            Communicator communicator,
            Data data,
            Progress progress,
            StopSignal stop,
            Watchdog watchdog,
            RunFacts facts,
            Consumer<String> log,
            Faults faults,
            int profiledSteps) {}

    private final Context context;
    private final TrainingSpec spec;
    private final FrozenJob job;
    private final Communicator communicator;
    private final RunFolder run;
    private final Duration stepLimit;
    private final Duration dataLimit;

    /** A run of the context's job. */
    public Trainer(Context context) {
        this.context = context;
        this.job = context.job();
        this.spec = SpecDigest.training(job);
        this.communicator = context.communicator();
        this.run = RunFolder.at(context.locations().resolve(spec.output().location()));
        this.stepLimit = Duration.ofMillis(spec.failure().stepDeadlineSeconds() * STEP_MILLIS_PER_SECOND);
        this.dataLimit = Duration.ofMillis(spec.failure().stepDeadlineSeconds() * DATA_MILLIS_PER_SECOND);
    }

    private boolean leads() {
        return communicator.rank() == 0;
    }

    /**
     * Trains to the end.
     *
     * @throws TrainerException with every exit code of the contract
     */
    public void run() {
        try {
            train();
        } catch (TrainerException e) {
            throw context.facts().situated(e);
        }
    }

    private void train() {
        // Rank 0 reads all of a checkpoint to choose it, all read the model: what counts is the start's deadline.
        communicator.patience(SLOW_FACTOR
                + spec.failure().startupDeadlineSeconds() / spec.failure().stepDeadlineSeconds());
        context.facts().doing("opening the run folder");
        boolean exact = spec.determinism() == Determinism.Exact;
        Torch.start().exact(exact);
        try (Scope scope = Scope.open()) {
            log(
                    exact
                            ? "determinism Exact on " + scope.device()
                                    + ": sums in a fixed order, and only kernels of libtorch that give the same bits every time"
                            : "determinism Fast on " + scope.device());
            RunStart begin = new RunStart(context, run);
            if (leads()) {
                begin.requireFolderOfThisSpec();
            }
            Optional<RunFolder.Fence> fence = leads()
                    ? Optional.of(
                            run.acquire(job.attempt(), job.uid(), Instant.now().toString()))
                    : Optional.empty();
            RunStart.Start start = begin.find();
            context.facts()
                    .doing(start.step() > 0 ? "reading the checkpoint of step " + start.step() : "reading the model");
            ModelBuilder.Built built = build(start, scope);
            VisionLanguageModel model = built.model();
            context.facts().doing("opening the training data");
            Tokenizer tokenizer = Tokenizer.load(built.tokenizer().getParent());
            try (tokenizer;
                    RowSource rows = context.data().open(job, model.config(), tokenizer)) {
                requireFit(model.config(), tokenizer);
                if (spec.precision() == Precision.BFloat16) {
                    model.computeIn(DType.BFLOAT16);
                }
                byte[] tokenizerFile = Files.readAllBytes(built.tokenizer());
                try (ShardedOptimizer optimizer = optimizer(model, scope)) {
                    List<StateShard> own = optimizer.state();
                    long tokens = 0;
                    Optional<Manifest.Guarded> guarded = Optional.empty();
                    if (start.step() > 0) {
                        Manifest manifest = start.source(run).manifest().orElseThrow();
                        guarded = Optional.ofNullable(manifest.guarded());
                        ModelLoader.readMoments(start.source(run), model.weights(), own);
                        tokens = manifest.tokens();
                    }
                    long savedStep;
                    try (Saver saver = new Saver(context, run, fence, model, own, tokenizerFile, stepLimit, scope)) {
                        saver.resume(start.step());
                        context.facts().resumed(start.step());
                        context.facts().doing("getting ready for the first step");
                        Guard guard = new Guard(spec.failure(), guarded);
                        loop(model, optimizer, rows, saver, fence, start.step(), tokens, guard);
                        savedStep = saver.savedStep();
                    }
                    optimizer.settle();
                    context.facts().doing(leads() ? "exporting the model" : "waiting for rank 0 to export the model");
                    if (fence.isPresent()) {
                        fence.get().check();
                        export(model, tokenizerFile, savedStep);
                    }
                    communicator.barrier();
                }
            }
        } catch (IOException e) {
            throw run.failed(job.attempt(), "the run folder", e);
        }
    }

    private ModelBuilder.Built build(RunStart.Start start, Scope scope) {
        if (start.step() == 0) {
            return new ModelBuilder(context.locations(), this::requireRoom).fresh(job, scope);
        }
        ModelLoader.Source source = start.source(run);
        requireRoom(source.config());
        ModelLoader.Loaded loaded = ModelLoader.open(source, ModelSizes.trained(spec), OptionalInt.empty(), scope);
        return new ModelBuilder.Built(loaded.model(), loaded.tokenizer());
    }

    /** Before the memory is taken: a process that is killed for it has no last words. */
    private void requireRoom(ModelConfig model) {
        try {
            Budget budget = Budget.of(
                    model,
                    ModelSizes.trained(spec),
                    spec.precision() == Precision.BFloat16,
                    run.path(),
                    communicator.world(),
                    job.processesPerNode());
            log(budget.table());
            budget.require();
        } catch (IOException e) {
            throw run.failed(job.attempt(), "the run folder", e);
        }
    }

    private ShardedOptimizer optimizer(VisionLanguageModel model, Scope scope) {
        return new ShardedOptimizer(
                model.weights(),
                model.stages(),
                Buckets.SMALL,
                communicator,
                new FusedAdamW.Settings(
                        spec.optimizer().beta1(),
                        spec.optimizer().beta2(),
                        spec.optimizer().epsilon(),
                        spec.optimizer().weightDecay()),
                context.facts(),
                scope);
    }

    private static void requireFit(ModelConfig model, Tokenizer tokenizer) {
        if (tokenizer.vocabularySize() > model.language().vocabSize()) {
            throw TrainerException.configuration("the tokenizer " + tokenizer.name() + " has ids up to "
                    + (tokenizer.vocabularySize() - 1) + ", but the model's vocabSize is "
                    + model.language().vocabSize() + "; use the model's own tokenizer or a larger vocabSize");
        }
    }

    /** What layers keep until backward. */
    public static Tape.Keep keep(Recompute recompute) {
        return switch (recompute) {
            case None -> Tape.Keep.ALL;
            case Selective -> Tape.Keep.PRODUCTS;
            case Full -> Tape.Keep.INPUT;
        };
    }

    /** Steps of the whole run. */
    static long steps(Schedule.StopAfter stop, int globalSize, RowSource rows) {
        double perStep = Math.max(1.0, (double) rows.tokens() / rows.rows() * globalSize);
        long steps = stop.steps() != null
                ? stop.steps()
                : stop.tokens() != null
                        ? (long) Math.ceil(stop.tokens() / perStep)
                        : Math.ceilDiv(rows.rows() * (stop.epochs() == null ? 1 : stop.epochs()), globalSize);
        return Math.max(1, steps);
    }

    private void loop(
            VisionLanguageModel model,
            ShardedOptimizer optimizer,
            RowSource rows,
            Saver saver,
            Optional<RunFolder.Fence> fence,
            long resumed,
            long tokensBefore,
            Guard guard)
            throws IOException {
        int global = spec.batch().globalSize();
        long steps = steps(spec.schedule().stopAfter(), global, rows);
        Loader.Share share =
                Loader.Share.of(global, spec.batch().microSize(), communicator.rank(), communicator.world());
        Step step = new Step(
                model,
                optimizer,
                communicator,
                spec.loss().normalization() == Loss.Normalization.Tokens,
                spec.optimizer().gradientClip(),
                keep(spec.recompute()),
                context.stop(),
                context.facts());
        if (resumed >= steps) {
            String line = "nothing to do: step " + resumed + " of " + steps + " is already there, in "
                    + spec.output().location();
            log(line);
            context.facts().warn(line);
        }
        LearningRate rate = LearningRate.of(spec.schedule(), steps);
        Flops flops = new Flops(model.config(), model.weights().parameters(), model.trained());
        double peak = Flops.measuredPeak();
        if (leads()) {
            log(flops.formula(peak));
            log("%d rows an epoch, %d rows a step, %d steps, %d of them warm-up, %d workers"
                    .formatted(rows.rows(), global, steps, rate.warmup(), communicator.world()));
        }
        long tokens = tokensBefore;
        try (Loader loader = new Loader(rows, share, resumed, steps);
                StepLog stepLog = new StepLog(context, run, fence, resumed, steps);
                StepProfile profile = new StepProfile(
                        context.profiledSteps(), resumed, steps, communicator.rank(), run.path(), this::log)) {
            try {
                for (long number = resumed; number < steps; number++) {
                    patience(number == resumed ? SLOW_FACTOR : 1, loader);
                    context.watchdog()
                            .begin(
                                    "step " + (number + 1),
                                    number == resumed ? stepLimit.multipliedBy(SLOW_FACTOR) : stepLimit);
                    boolean save = command();
                    double learningRate = spec.optimizer().learningRate() * rate.factor(number);
                    profile.begin(number + 1);
                    long began = System.nanoTime();
                    Step.Result result = step.run(loader, share.count(), flops, number, learningRate, save, guard);
                    if (result.stopped()) {
                        stop(saver, number, tokens, stepLog.lastLoss(), guard);
                    }
                    OptionalLong rewoundTo = OptionalLong.empty();
                    switch (result.verdict()) {
                        case Guard.Verdict.Update update -> {
                            tokens += result.totals().tokens();
                            update.spike().ifPresent(this::warn);
                        }
                        case Guard.Verdict.Skip skip -> warn(skip.why());
                        case Guard.Verdict.Rewind rewind -> {
                            saver.finish();
                            long back = saver.savedStep();
                            context.watchdog().begin("rewinding to step " + back, stepLimit.multipliedBy(SLOW_FACTOR));
                            patience(SLOW_FACTOR, loader);
                            context.facts().doing("rewinding to step " + back);
                            tokens = Rewinding.to(back, run, model, optimizer, guard, number + 1, rewind.what());
                            warn(rewind.what() + "; rewound to step " + back + ", the batches of steps " + (back + 1)
                                    + " to " + (number + 1) + " are left out");
                            rewoundTo = OptionalLong.of(back);
                        }
                    }
                    context.facts().skipped(guard.skippedSteps());
                    long nanos = System.nanoTime() - began;
                    profile.end(number + 1, began, nanos);
                    double seconds = nanos / 1e9;
                    context.facts().completed(number + 1);
                    StepRecord record = stepLog.record(
                            number + 1,
                            result,
                            rewoundTo,
                            learningRate,
                            tokens,
                            seconds,
                            peak,
                            loader.takeWaited() / 1e9);
                    context.facts().doing("looking after the checkpoint");
                    boolean complete = saver.edge();
                    boolean last = number + 1 == steps;
                    if (last
                            || result.totals().save()
                            || (number + 1) % spec.checkpoints().everySteps() == 0) {
                        complete |= saver.inFlight().isPresent();
                        saver.save(number + 1, tokens, result.loss(), guard.state());
                    }
                    if (last) {
                        complete |= saver.finish();
                    }
                    report(record, complete || record.skipped() != null);
                }
            } catch (TrainerException e) {
                // Before anything is closed: then the others are where they were.
                throw context.facts().situated(e);
            }
        } catch (TrainerException e) {
            keepWhatIsWritten(saver, e);
            throw e;
        }
        communicator.patience(SLOW_FACTOR);
        context.watchdog().begin("the export", stepLimit.multipliedBy(SLOW_FACTOR));
    }

    private void patience(int factor, Loader loader) {
        communicator.patience(factor);
        loader.limit(dataLimit.multipliedBy(factor));
    }

    private void warn(String line) {
        log("WARNING " + line);
        context.facts().warn(line);
    }

    private void report(StepRecord record, boolean now) {
        if (leads()) {
            RunFacts facts = context.facts();
            ProgressReport details = new ProgressReport(
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    facts.checkpoints(),
                    facts.best().orElse(null),
                    null,
                    List.of(),
                    facts.warnings(),
                    facts.skippedSteps() == 0 ? null : facts.skippedSteps());
            context.progress()
                    .report(Reports.training(record, facts.resumedFrom().orElse(0L), details), now);
        }
    }

    /** Whether the operator wants a checkpoint after this step; a wish to stop goes to the stop signal. */
    private boolean command() {
        return context.progress()
                .takeCommand()
                .map(command -> {
                    if (command.action() == ProgressAnswer.Action.SaveAndStop) {
                        context.stop()
                                .request(
                                        "the operator asked to save and stop",
                                        Duration.ofSeconds(spec.failure().gracePeriodSeconds()));
                    }
                    return command.action() == ProgressAnswer.Action.Save;
                })
                .orElse(false);
    }

    /** Where all ranks end alike (or there is one only), what is being written becomes a checkpoint before that. */
    private void keepWhatIsWritten(Saver saver, TrainerException reason) {
        boolean storage = reason.code() == ExitCode.StorageFailed
                || reason.code() == ExitCode.Fenced
                || reason.code() == ExitCode.StepDeadlineExceeded
                || reason.code() == ExitCode.Terminated;
        if (!storage && (reason.code() == ExitCode.NonFinite || communicator.world() == 1)) {
            try {
                saver.finish();
            } catch (TrainerException e) {
                reason.addSuppressed(e);
            }
        }
    }

    /** Some rank has to end: all decide alike whether there is time to save, then all end. */
    private void stop(Saver saver, long completed, long tokens, double loss, Guard guard) {
        // First what is being written: it is nearer to its end than anything else.
        if (saver.inFlight().isPresent() && enoughTime(saver)) {
            saver.finish();
        }
        if (completed > saver.savedStep() && saver.inFlight().isEmpty() && enoughTime(saver)) {
            saver.save(completed, tokens, loss, guard.state());
            saver.finish();
        }
        String why = context.stop().requested().map(StopSignal.Request::why).orElse("another worker has to end");
        if (completed > saver.savedStep()) {
            throw new TrainerException(
                    ExitCode.Terminated,
                    why + "; too little time is left to save, steps " + (saver.savedStep() + 1) + " to " + completed
                            + " will be done again");
        }
        throw new TrainerException(
                ExitCode.PreemptedAfterSaving, why + "; step " + completed + " is saved, no completed step is lost");
    }

    /** Whether every rank has the time for a save before it is killed; the same answer on all. */
    private boolean enoughTime(Saver saver) {
        long left = context.stop().requested().map(r -> r.left().toMillis()).orElse(Long.MAX_VALUE);
        long needed = saver.lastMillis() * 3 / 2 + MIN_GRACE_MILLIS;
        boolean enough = true;
        for (byte[] each : communicator.allGather(Json.bytes(left >= needed))) {
            enough &= new String(each, java.nio.charset.StandardCharsets.UTF_8).equals("true");
        }
        return enough;
    }

    private void export(VisionLanguageModel model, byte[] tokenizerFile, long step) throws IOException {
        Path folder = run.export(step);
        String digest = Export.write(folder, model, tokenizerFile, step, Export.Options.TRAINED, context.faults());
        context.facts()
                .exported(new io.vlmoperator.api.status.Export(
                        Saver.location(spec.output().location(), "exports", step), "Llava", digest));
        log("exported step " + step + " to " + folder);
    }

    private void log(String line) {
        if (leads()) {
            context.log().accept(line);
        }
    }
}
