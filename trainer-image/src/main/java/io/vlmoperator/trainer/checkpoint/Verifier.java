package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Finds out whether a checkpoint is whole: every file that its manifest lists is there with the right size and digest. */
public final class Verifier {
    private Verifier() {}

    /** The first thing that is wrong with a checkpoint. */
    public static Optional<String> problem(RunFolder.Complete checkpoint) {
        try {
            Manifest manifest = checkpoint.read();
            for (Manifest.FileEntry entry : manifest.files()) {
                Path file = checkpoint.folder().resolve(entry.name());
                if (!Files.isRegularFile(file)) {
                    return Optional.of(file + " is missing");
                }
                long size = Files.size(file);
                if (size != entry.bytes()) {
                    return Optional.of(file + " has " + size + " bytes instead of " + entry.bytes());
                }
                if (!Durable.digest(file).equals(entry.digest())) {
                    return Optional.of(file + " is damaged: its SHA-256 is not that of the manifest");
                }
            }
            new CheckpointReader(checkpoint.folder(), manifest).requireWhole();
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of(e.getMessage());
        }
    }

    /**
     * @param damaged what was skipped, newest first: one line each
     */
    public record Newest(Optional<RunFolder.Complete> checkpoint, List<String> damaged) {}

    /** The newest checkpoint that is whole. */
    public static Newest newestWhole(RunFolder run) throws IOException {
        List<String> damaged = new ArrayList<>();
        for (RunFolder.Complete candidate : run.complete()) {
            Optional<String> problem = problem(candidate);
            if (problem.isEmpty()) {
                return new Newest(Optional.of(candidate), damaged);
            }
            damaged.add("checkpoint of step " + candidate.step() + " is skipped: " + problem.get());
        }
        return new Newest(Optional.empty(), damaged);
    }
}
