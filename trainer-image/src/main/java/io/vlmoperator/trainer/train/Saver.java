package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.spec.Checkpoints;
import io.vlmoperator.api.spec.TrainingSpec;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.CheckpointWriter;
import io.vlmoperator.trainer.checkpoint.Durable;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.Retention;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Staging;
import io.vlmoperator.trainer.checkpoint.StateShard;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.model.VisionLanguageModel;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Saves checkpoints with the other ranks while training goes on, and deletes the ones that the rule does not keep. All ranks call it at
 * the same steps in the same order.
 *
 * <p>{@link #save} copies this rank's state and returns; another thread writes the copy. One save is in flight at a time. At the edges of
 * the following steps ({@link #edge}) the ranks tell each other how far they are: when all parts are on the disk, rank 0's other thread
 * publishes the manifest; when that is done, all ranks know. If a rank fails, no rank publishes and all end at the same edge.
 */
final class Saver implements AutoCloseable {
    /** Without an answer of the operator for so long nobody knows what is referred to, so nothing is deleted. */
    private static final Duration PINS_LAST = Duration.ofMinutes(10);

    private static final int MAX_LISTED = 10;
    private static final long LOOK_MILLIS = 250;
    private static final long BACKSTOP_SHARE = 50;
    private static final int MAX_MESSAGE = 1000;

    private final FrozenJob job;
    private final RunFolder run;
    private final Optional<RunFolder.Fence> fence;
    private final CheckpointWriter writer;
    private final Communicator communicator;
    private final Watchdog watchdog;
    private final Duration limit;
    private final VisionLanguageModel model;
    private final byte[] tokenizer;
    private final Progress progress;
    private final Faults faults;
    private final RunFacts facts;
    private final Consumer<String> log;
    private final List<StateShard> state;
    private final Staging staging;
    private final Scope views;
    private final CheckpointWriter.Frozen frozen;
    private final SaveThread thread = new SaveThread();
    /** Touched by the training thread until the first save, then by tasks only; each sees what the one before it left. */
    private final TreeMap<Long, Checkpoint> known = new TreeMap<>(Comparator.reverseOrder());

    private Optional<Flight> flight = Optional.empty();
    private long saved;
    private long lastMillis;
    /** What the other thread is at. */
    private volatile String writing = "";

    /**
     * @param fence of rank 0; empty on the others
     * @param state what this rank writes: the same memory for the whole run
     * @param tokenizer the file's content: the checkpoint it was read from may be deleted while the run goes on
     * @param limit of one save
     * @param scope that the model lives in
     */
    Saver(
            Trainer.Context context,
            RunFolder run,
            Optional<RunFolder.Fence> fence,
            VisionLanguageModel model,
            List<StateShard> state,
            byte[] tokenizer,
            Duration limit,
            Scope scope) {
        this.job = context.job();
        this.run = run;
        this.fence = fence;
        this.writer = new CheckpointWriter(run, job.attempt(), this::before);
        this.communicator = context.communicator();
        this.watchdog = context.watchdog();
        this.limit = limit;
        this.model = model;
        this.tokenizer = tokenizer;
        this.progress = context.progress();
        this.faults = context.faults();
        this.facts = context.facts();
        this.log = context.log();
        this.state = List.copyOf(state);
        this.staging = new Staging(state);
        this.views = scope.child();
        this.frozen = fence.isPresent()
                ? CheckpointWriter.Frozen.of(model.weights(), views)
                : new CheckpointWriter.Frozen(List.of(), List.of());
    }

    private void before(String call, Path path) throws IOException {
        writing = call + " " + path.getFileName();
        faults.before(call, path);
    }

    /** A save between its copy and its manifest. */
    private static final class Flight {
        private final long step;
        private final long tokens;
        private final double loss;
        private final Optional<Manifest.Guarded> guarded;
        private final long began = System.nanoTime();
        private final AtomicLong busyNanos = new AtomicLong();
        private long stallNanos;
        private Optional<Future<Manifest.FileEntry>> part = Optional.empty();
        /** Rank 0 only. */
        private Optional<Future<Checkpoint>> manifest = Optional.empty();

        private boolean publishing;

        private Flight(long step, long tokens, double loss, Optional<Manifest.Guarded> guarded) {
            this.step = step;
            this.tokens = tokens;
            this.loss = loss;
            this.guarded = guarded;
        }

        /** Counts the time that the task takes. */
        private <T> Callable<T> timed(Callable<T> task) {
            return () -> {
                long start = System.nanoTime();
                try {
                    return task.call();
                } finally {
                    busyNanos.addAndGet(System.nanoTime() - start);
                }
            };
        }
    }

    /**
     * What a rank tells the others at an edge.
     *
     * @param part its file, once that is on the disk
     * @param published by rank 0
     * @param failed why it can't go on
     */
    private record Word(Manifest.FileEntry part, Boolean published, String failed) {
        private static final Word NOT_YET = new Word(null, null, null);
    }

    /** Takes over what earlier attempts saved. */
    void resume(long step) throws IOException {
        saved = step;
        if (fence.isPresent()) {
            for (RunFolder.Complete complete : run.complete()) {
                if (complete.step() <= step) {
                    list(complete);
                }
            }
            publishFacts();
        }
    }

    /** One that can't be read must not keep the run from going on with a newer one. */
    private void list(RunFolder.Complete complete) {
        try {
            Manifest manifest = complete.read();
            known.put(complete.step(), describe(manifest, Durable.digest(complete.manifest())));
        } catch (IOException e) {
            String line = "checkpoint of step " + complete.step() + " is not listed: " + e.getMessage();
            log.accept(line);
            facts.warn(line);
        }
    }

    /** The newest complete step; 0 for none. */
    long savedStep() {
        return saved;
    }

    /** The step of the save that is in flight, if one is. */
    Optional<Long> inFlight() {
        return flight.map(f -> f.step);
    }

    /** How long this rank's other thread was busy with the newest complete save; 0 before there is one. */
    long lastMillis() {
        return lastMillis;
    }

    /** Copies the state of a completed step; waits for the save before this one first. */
    void save(long step, long tokens, double loss, Optional<Manifest.Guarded> guarded) {
        long start = System.nanoTime();
        finish();
        watchdog.begin("saving step " + step, limit);
        facts.doing("copying the state of step " + step);
        staging.take(state);
        Flight next = new Flight(step, tokens, loss, guarded);
        Callable<Manifest.FileEntry> part =
                next.timed(() -> writer.writePart(step, communicator.rank(), communicator.world(), staging.shards()));
        if (fence.isPresent() && communicator.world() == 1) {
            // Nobody else has to be asked: it counts as soon as it is written.
            next.publishing = true;
            next.manifest = Optional.of(thread.start(() -> {
                List<Manifest.FileEntry> files = List.of(part.call());
                return next.timed(() -> publish(fence.get(), next, files)).call();
            }));
        } else {
            next.part = Optional.of(thread.start(part));
        }
        next.stallNanos = System.nanoTime() - start;
        flight = Optional.of(next);
    }

    /**
     * To be called by all ranks at the edge of a step; costs nothing while no save is in flight, else one small message.
     *
     * @return whether a checkpoint has become complete
     * @throws TrainerException StorageFailed or Fenced where this rank could not write, PeerLost where another one could not,
     *     StepDeadlineExceeded when the save has taken too long
     */
    boolean edge() {
        if (flight.isEmpty()) {
            return false;
        }
        Flight current = flight.get();
        if (late(current)) {
            throw tooLong(current);
        }
        return advance(current, false);
    }

    private boolean late(Flight current) {
        return System.nanoTime() - current.began > limit.toNanos();
    }

    private TrainerException tooLong(Flight current) {
        return new TrainerException(
                ExitCode.StepDeadlineExceeded,
                "saving step " + current.step + " in " + run.path() + " took more than " + limit.toSeconds()
                        + " s, at '"
                        + writing
                        + "'; the storage is slow or hangs. Raise failure.stepDeadlineSeconds if that is as it"
                        + " should be");
    }

    /**
     * Waits until the save in flight is complete.
     *
     * @return whether there was one
     * @throws TrainerException as {@link #edge}
     */
    boolean finish() {
        if (flight.isEmpty()) {
            return false;
        }
        // It ends by itself at its limit; the watchdog is for the case that it does not.
        watchdog.begin(
                "waiting for the save of step " + flight.get().step, limit.plus(limit.dividedBy(BACKSTOP_SHARE)));
        while (flight.isPresent()) {
            advance(flight.get(), true);
        }
        return true;
    }

    private boolean advance(Flight current, boolean wait) {
        Word own = Word.NOT_YET;
        Optional<Throwable> failure = Optional.empty();
        try {
            own = word(current, wait);
        } catch (Exception | Error e) {
            // The others are told first: they end here, too, and don't wait for a rank that has gone.
            Throwable plain = meaning(e, current.step);
            String message = String.valueOf(plain.getMessage());
            own = new Word(null, null, message.substring(0, Math.min(message.length(), MAX_MESSAGE)));
            // Where the others are is looked at before they end for this reason.
            failure = Optional.of(plain instanceof TrainerException ours ? facts.situated(ours) : plain);
        }
        if (failure.isEmpty()) {
            facts.doing("hearing how far the others are with the save of step " + current.step);
        }
        List<Word> words = gather(own, failure);
        if (failure.isPresent()) {
            throw failure.get() instanceof Error error ? rethrown(error) : (RuntimeException) failure.get();
        }
        for (int rank = 0; rank < words.size(); rank++) {
            if (words.get(rank).failed() != null) {
                throw new TrainerException(
                        ExitCode.PeerLost,
                        "worker " + rank + " could not save step " + current.step + ": "
                                + words.get(rank).failed());
            }
        }
        if (current.publishing) {
            if (!Boolean.TRUE.equals(words.getFirst().published())) {
                return false;
            }
            completed(current);
            return true;
        }
        List<Manifest.FileEntry> parts =
                words.stream().map(Word::part).filter(Objects::nonNull).toList();
        if (parts.size() == words.size()) {
            current.publishing = true;
            current.manifest = fence.map(owner -> thread.start(current.timed(() -> publish(owner, current, parts))));
        }
        return false;
    }

    private Word word(Flight current, boolean wait) throws Exception {
        if (!current.publishing) {
            Future<Manifest.FileEntry> part = current.part.orElseThrow();
            return wait || part.isDone() ? new Word(await(current, part), null, null) : Word.NOT_YET;
        }
        if (current.manifest.isEmpty() || !wait && !current.manifest.get().isDone()) {
            return Word.NOT_YET;
        }
        await(current, current.manifest.get());
        return new Word(null, true, null);
    }

    private <T> T await(Flight current, Future<T> task) throws Exception {
        String at = "";
        while (true) {
            if (!at.equals(writing)) {
                at = writing;
                facts.doing("saving step " + current.step + ", at '" + at + "'");
            }
            Optional<T> result = SaveThread.get(task, LOOK_MILLIS);
            if (result.isPresent()) {
                return result.get();
            }
            if (late(current)) {
                throw tooLong(current);
            }
        }
    }

    private List<Word> gather(Word own, Optional<Throwable> failure) {
        try {
            List<Word> words = new ArrayList<>();
            for (byte[] each : communicator.allGather(Json.bytes(own))) {
                words.add(Json.read(each, Word.class));
            }
            return words;
        } catch (IOException | RuntimeException e) {
            if (failure.isPresent()) {
                failure.get().addSuppressed(e);
                return List.of();
            }
            throw e instanceof RuntimeException known ? known : new IllegalStateException(e);
        }
    }

    /** What an error of the other thread means for the run: an {@link Error} or a {@link RuntimeException}. */
    private Throwable meaning(Throwable failure, long step) {
        return switch (failure) {
            case Error error -> error;
            case RuntimeException exception -> exception;
            case IOException e -> run.failed(job.attempt(), "saving step " + step + " in", e);
            default -> {
                if (failure instanceof InterruptedException) {
                    Thread.currentThread().interrupt();
                }
                yield new IllegalStateException("saving step " + step + " was interrupted", failure);
            }
        };
    }

    private static RuntimeException rethrown(Error error) {
        throw error;
    }

    private void completed(Flight current) {
        flight = Optional.empty();
        saved = current.step;
        lastMillis = current.busyNanos.get() / 1_000_000;
        if (fence.isPresent()) {
            log.accept("saved step " + saved + " in " + lastMillis + " ms, training waited for "
                    + current.stallNanos / 1_000_000 + " ms of it: "
                    + location(SpecDigest.training(job).output().location(), "checkpoints", saved));
        }
    }

    /** On the other thread of rank 0. */
    private Checkpoint publish(RunFolder.Fence owner, Flight save, List<Manifest.FileEntry> parts) throws IOException {
        List<Manifest.FileEntry> files = new ArrayList<>(parts);
        writer.writeFrozen(save.step, frozen).ifPresent(files::add);
        files.add(writer.writeTokenizer(save.step, tokenizer));
        Manifest manifest = new Manifest(
                Manifest.FORMAT_VERSION,
                save.step,
                save.tokens,
                communicator.world(),
                job.attempt(),
                Instant.now().toString(),
                Double.isFinite(save.loss) ? save.loss : null,
                SpecDigest.of(SpecDigest.training(job)),
                job.datasets().stream()
                        .map(FrozenJob.ResolvedDataset::digest)
                        .map(d -> d == null ? "" : d)
                        .toList(),
                Trainer.CODE_VERSION,
                model.config(),
                model.trained().stream().sorted().toList(),
                model.weights().trained().stream()
                        .map(p -> new Manifest.Piece(p.name(), p.shape()))
                        .toList(),
                files,
                computed(),
                save.guarded.orElse(null));
        String digest = writer.publish(owner, manifest);
        Checkpoint checkpoint = describe(manifest, digest);
        known.put(save.step, checkpoint);
        publishFacts();
        prune(owner);
        return checkpoint;
    }

    private Manifest.Computed computed() {
        TrainingSpec spec = SpecDigest.training(job);
        return new Manifest.Computed(
                Torch.start().device().kind().name(),
                spec.precision().name(),
                spec.determinism().name());
    }

    private void prune(RunFolder.Fence owner) throws IOException {
        if (!progress.heardWithin(PINS_LAST)) {
            log.accept("no checkpoint is deleted: the operator has not answered for 10 minutes, so it is unknown which"
                    + " ones are referred to");
            return;
        }
        Set<Long> keep = Retention.keep(losses(), rule(), progress.pins());
        for (long deleted : Retention.prune(run, owner, keep, this::before)) {
            known.remove(deleted);
        }
        publishFacts();
    }

    private Checkpoints.Keep rule() {
        return SpecDigest.training(job).checkpoints().keep();
    }

    private Map<Long, Double> losses() {
        Map<Long, Double> losses = new TreeMap<>();
        known.forEach(
                (step, checkpoint) -> losses.put(step, checkpoint.loss() == null ? Double.NaN : checkpoint.loss()));
        return losses;
    }

    private void publishFacts() {
        List<Long> best = Retention.best(losses(), rule());
        facts.saved(
                known.values().stream().limit(MAX_LISTED).toList(),
                best.isEmpty() ? Optional.empty() : Optional.of(known.get(best.getFirst())));
    }

    private Checkpoint describe(Manifest manifest, String digest) {
        return new Checkpoint(
                manifest.step(),
                manifest.time(),
                location(SpecDigest.training(job).output().location(), "checkpoints", manifest.step()),
                digest,
                manifest.bytes(),
                manifest.loss());
    }

    /** A step's folder as a location, below that of the run. */
    static String location(String output, String kind, long step) {
        return output.replaceFirst("/+$", "") + "/" + kind + "/step-%09d".formatted(step);
    }

    /** Gives up what is in flight, which nobody will ever take for a checkpoint. */
    @Override
    public void close() {
        thread.close();
        staging.close();
        views.close();
    }
}
