package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Export;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Whereabouts;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What is known of a run so far, for its last words whenever they are due. Safe for use by several threads. */
public final class RunFacts {
    private static final int MAX_WARNINGS = 10;
    private static final int MAX_LINE = 400;

    private long step;
    private long completedAt = System.nanoTime();
    private String doing = "";
    private long doingSince = System.nanoTime();
    private boolean told;
    private final Whereabouts whereabouts = new Whereabouts();
    private long skippedSteps;
    private Optional<Long> resumedFrom = Optional.empty();
    private List<Checkpoint> checkpoints = List.of();
    private Optional<Checkpoint> best = Optional.empty();
    private Optional<Export> export = Optional.empty();
    private final List<String> warnings = new ArrayList<>();

    synchronized void resumed(long from) {
        resumedFrom = Optional.of(from);
        step = from;
    }

    synchronized void completed(long newStep) {
        step = newStep;
        completedAt = System.nanoTime();
    }

    /** Where this worker is, for the others, and where they are. */
    public Whereabouts whereabouts() {
        return whereabouts;
    }

    /**
     * What this worker begins to do now, in words that go on "for 3.2 s".
     *
     * @return what it did before
     */
    synchronized String doing(String what) {
        String before = doing;
        doing = what;
        doingSince = System.nanoTime();
        whereabouts.begin(resumedFrom.isEmpty() ? 0 : step + 1, what);
        return before;
    }

    /** The same failure with the {@link #situation} when somebody waited too long or in vain, once; any other as it is. */
    synchronized TrainerException situated(TrainerException failure) {
        boolean waited = failure.code() == ExitCode.CollectiveTimeout
                || failure.code() == ExitCode.PeerLost
                || failure.code() == ExitCode.StepDeadlineExceeded;
        Optional<String> here = situation();
        if (!waited || told || here.isEmpty()) {
            return failure;
        }
        told = true;
        return new TrainerException(failure.code(), failure.getMessage() + " (" + here.get() + ")", failure);
    }

    /**
     * Where this worker is, when all had last finished a step, who is waited for and where every rank was last heard of, for the report of one
     * that waited in vain; empty before it has begun anything.
     */
    public synchronized Optional<String> situation() {
        if (doing.isEmpty()) {
            return Optional.empty();
        }
        String others = whereabouts.report();
        others = others.isEmpty() ? "" : "; " + others;
        if (resumedFrom.isEmpty()) {
            return Optional.of(
                    "this worker is " + doing + " for " + seconds(doingSince) + ", before any step" + others);
        }
        String here = "this worker is in step " + (step + 1) + ", " + doing + " for " + seconds(doingSince);
        String all = step > resumedFrom.get()
                ? "; all workers finished step " + step + " " + seconds(completedAt) + " ago"
                : "; no worker has finished a step of this attempt";
        return Optional.of(here + all + others);
    }

    /** What is lost if the process ends now, as far as this worker knows: rank 0 lists the checkpoints. Empty before training. */
    public synchronized Optional<String> lost() {
        if (resumedFrom.isEmpty()) {
            return Optional.empty();
        }
        if (checkpoints.isEmpty()) {
            return Optional.of(
                    "the last completed step is " + step + ", what is not in a checkpoint will be done again");
        }
        long saved = checkpoints.getFirst().step();
        return Optional.of(
                saved >= step
                        ? "step " + step + " is saved, no completed step is lost"
                        : "steps " + (saved + 1) + " to " + step + " will be done again");
    }

    private static String seconds(long since) {
        return String.format(Locale.ROOT, "%.1f s", (System.nanoTime() - since) / 1e9);
    }

    synchronized void saved(List<Checkpoint> newestFirst, Optional<Checkpoint> newBest) {
        checkpoints = List.copyOf(newestFirst);
        best = newBest;
    }

    synchronized void exported(Export value) {
        export = Optional.of(value);
    }

    /** Adds a line for the status, once; the newest {@value #MAX_WARNINGS} are kept. */
    public synchronized void warn(String line) {
        String cut = line.length() > MAX_LINE ? line.substring(0, MAX_LINE) : line;
        warnings.remove(cut);
        warnings.addFirst(cut);
        while (warnings.size() > MAX_WARNINGS) {
            warnings.removeLast();
        }
    }

    synchronized void skipped(long steps) {
        skippedSteps = steps;
    }

    /** Steps whose batches were left out. */
    public synchronized long skippedSteps() {
        return skippedSteps;
    }

    /** Completed steps. */
    public synchronized long step() {
        return step;
    }

    /** Step of the checkpoint this attempt began with, 0 for none; empty before that is known. */
    public synchronized Optional<Long> resumedFrom() {
        return resumedFrom;
    }

    /** Complete checkpoints, newest first. */
    public synchronized List<Checkpoint> checkpoints() {
        return checkpoints;
    }

    public synchronized Optional<Checkpoint> best() {
        return best;
    }

    public synchronized Optional<Export> export() {
        return export;
    }

    /** Newest first. */
    public synchronized List<String> warnings() {
        return List.copyOf(warnings);
    }
}
