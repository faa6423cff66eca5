package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.checkpoint.CheckpointWriter;
import io.vlmoperator.trainer.op.Profile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The profile of some steps of a run, behind the first one, which warms everything up. Written to the run folder's {@code profile}: a trace in
 * Chrome's format and a table by operator, for each rank.
 */
final class StepProfile implements AutoCloseable {
    private final long from;
    private final long to;
    private final int rank;
    private final Path folder;
    private final Consumer<String> log;
    private Optional<Profile> open = Optional.empty();

    /**
     * @param steps how many to profile; 0 for none
     * @param done steps completed before this attempt
     * @param last of the run
     */
    StepProfile(int steps, long done, long last, int rank, Path run, Consumer<String> log) {
        from = Math.min(done + 2, last);
        to = steps == 0 ? 0 : Math.min(last, from + steps - 1);
        this.rank = rank;
        this.folder = run.resolve("profile");
        this.log = log;
    }

    /** Called before a step, counted from 1. */
    void begin(long step) {
        if (step == from && to > 0) {
            open = Optional.of(Profile.start());
        }
    }

    /** Called after a step. */
    void end(long step, long start, long nanos) {
        if (open.isEmpty()) {
            return;
        }
        open.get().step("step " + step, start, nanos);
        if (step == to) {
            write();
        }
    }

    private void write() {
        try (Profile profile = open.orElseThrow()) {
            open = Optional.empty();
            Files.createDirectories(folder);
            String name = "steps-" + from + "-" + to + ".rank-" + rank;
            profile.writeTrace(folder.resolve(name + ".json"), rank);
            Files.writeString(folder.resolve(name + ".txt"), profile.table());
            log.accept("profile of steps " + from + " to " + to + " in " + folder.resolve(name + ".json")
                    + " (open it in chrome://tracing or ui.perfetto.dev) and " + name + ".txt");
        } catch (IOException e) {
            throw CheckpointWriter.failed("the profile", folder, e);
        }
    }

    @Override
    public void close() {
        open.ifPresent(Profile::close);
    }
}
