package io.vlmoperator.trainer.train;

import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.api.status.Export;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What is known of a run so far, for its last words whenever they are due. Safe for use by several threads. */
public final class RunFacts {
    private static final int MAX_WARNINGS = 10;
    private static final int MAX_LINE = 400;

    private long step;
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
