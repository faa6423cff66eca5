package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.api.status.Checkpoint;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** What can be done with the checkpoints of a run in which no trainer works. */
public final class CheckpointTools {
    private static final int MAX_LISTED = 1000;

    private CheckpointTools() {}

    /**
     * @param checkpoints that are there afterwards, newest first
     * @param damaged one line each
     * @param deleted steps
     */
    public record Report(List<Checkpoint> checkpoints, List<String> damaged, List<Long> deleted) {}

    /** Reads the manifests only. */
    public static Report list(Path folder) throws IOException {
        return report(folder, List.of(), List.of());
    }

    /** Reads everything. */
    public static Report verify(Path folder) throws IOException {
        List<String> damaged = new ArrayList<>();
        for (RunFolder.Complete complete : RunFolder.at(folder).complete()) {
            Verifier.problem(complete).ifPresent(problem -> damaged.add("step " + complete.step() + ": " + problem));
        }
        return report(folder, damaged, List.of());
    }

    /**
     * Deletes all but the newest {@code keep}, what is pinned, and the newest one that is whole.
     *
     * @param keep at least 1
     * @param pins steps that something refers to
     */
    public static Report prune(Path folder, int keep, Set<Long> pins) throws IOException {
        RunFolder run = RunFolder.at(folder);
        List<Long> deleted = new ArrayList<>();
        List<RunFolder.Complete> all = run.complete();
        Verifier.Newest newest = Verifier.newestWhole(run);
        for (RunFolder.Complete old : all.subList(Math.min(keep, all.size()), all.size())) {
            if (!pins.contains(old.step()) && !newest.checkpoint().equals(Optional.of(old))) {
                remove(old);
                deleted.add(old.step());
            }
        }
        return report(folder, newest.damaged(), deleted);
    }

    /** Deletes one, also the newest. */
    public static Report delete(Path folder, long step) throws IOException {
        Optional<RunFolder.Complete> found = RunFolder.at(folder).complete(step);
        if (found.isEmpty()) {
            throw TrainerException.configuration(folder + " has no checkpoint of step " + step);
        }
        remove(found.get());
        return report(folder, List.of(), List.of(step));
    }

    private static void remove(RunFolder.Complete checkpoint) throws IOException {
        // First it stops being a checkpoint.
        Files.deleteIfExists(checkpoint.manifest());
        Durable.deleteFolder(checkpoint.folder());
    }

    private static Report report(Path folder, List<String> damaged, List<Long> deleted) throws IOException {
        List<Checkpoint> checkpoints = new ArrayList<>();
        List<String> problems = new ArrayList<>(damaged);
        for (RunFolder.Complete complete : RunFolder.at(folder).complete()) {
            if (checkpoints.size() == MAX_LISTED) {
                break;
            }
            try {
                Manifest manifest = complete.read();
                checkpoints.add(new Checkpoint(
                        manifest.step(),
                        manifest.time(),
                        Locations.fileLocation(complete.folder()),
                        Durable.digest(complete.manifest()),
                        manifest.bytes(),
                        manifest.loss()));
            } catch (IOException e) {
                String line = "step " + complete.step() + ": " + e.getMessage();
                if (!problems.contains(line)) {
                    problems.add(line);
                }
            }
        }
        return new Report(checkpoints, problems, deleted);
    }
}
