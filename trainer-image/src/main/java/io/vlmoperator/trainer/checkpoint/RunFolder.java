package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The folder of a run: fences, checkpoints, exports ({@code src/docs/contracts.md}, "Run folder").
 *
 * <p>A fence says which attempt owns the run and which manifests that attempt found. A manifest counts if it is the owner's or one of
 * those: whatever a replaced attempt publishes later counts for nobody.
 */
public final class RunFolder {
    private static final Pattern FENCE = Pattern.compile("attempt-(\\d{5})");
    private static final Pattern STEP = Pattern.compile("step-(\\d{9})");
    private static final Pattern MANIFEST = Pattern.compile("manifest-(\\d{5})\\.json");
    private static final int MAX_ENTRIES = 100_000;
    private static final long MAX_FENCE_BYTES = 16L << 20;

    private final Path folder;

    private RunFolder(Path folder) {
        this.folder = folder;
    }

    /** A run folder, which need not exist yet. */
    public static RunFolder at(Path folder) {
        return new RunFolder(folder);
    }

    /** The folder itself. */
    public Path path() {
        return folder;
    }

    /** A manifest that counts, not verified yet. */
    public record Complete(long step, int attempt, Path folder, Path manifest) {
        /** The manifest itself. */
        public Manifest read() throws IOException {
            Manifest read = Json.read(manifest, Manifest.MAX_BYTES, Manifest.class);
            Optional<String> problem = read.problem();
            if (problem.isPresent()) {
                throw new IOException(manifest + ": " + problem.get());
            }
            if (read.step() != step || read.attempt() != attempt) {
                throw new IOException(manifest + ": is the manifest of step " + read.step() + ", attempt "
                        + read.attempt() + ", not of step " + step + ", attempt " + attempt);
            }
            return read;
        }
    }

    record Accepted(Long step, Integer attempt) {}

    record FenceContent(Integer attempt, String job, String time, List<Accepted> accepted) {
        FenceContent {
            accepted = accepted == null ? List.of() : List.copyOf(accepted);
        }
    }

    /** Ownership of the run by one attempt. */
    public final class Fence {
        private final int attempt;

        private Fence(int attempt) {
            this.attempt = attempt;
        }

        public int attempt() {
            return attempt;
        }

        /**
         * To be called right before anything is published or deleted.
         *
         * @throws TrainerException Fenced when a newer attempt owns the run
         */
        public void check() throws IOException {
            RunFolder.this.check(attempt);
        }
    }

    /**
     * For ranks that own no fence: their attempt must not have been replaced.
     *
     * @throws TrainerException Fenced when a newer attempt owns the run
     */
    void check(int attempt) throws IOException {
        int owner = owner().orElse(0);
        if (owner > attempt) {
            throw new TrainerException(
                    ExitCode.Fenced,
                    "attempt " + owner + " owns " + folder + " now; attempt " + attempt + " publishes nothing more");
        }
    }

    /**
     * What an error of the storage means for an attempt that works here: where a newer attempt owns the run, files vanish under the hands
     * of the older one, and that is the reason.
     *
     * @param what the attempt was doing
     */
    public TrainerException failed(int attempt, String what, IOException cause) {
        try {
            check(attempt);
        } catch (TrainerException fenced) {
            fenced.addSuppressed(cause);
            return fenced;
        } catch (IOException unreadable) {
            cause.addSuppressed(unreadable);
        }
        return CheckpointWriter.failed(what, folder, cause);
    }

    /**
     * Makes this attempt the owner.
     *
     * @param attempt from 1
     * @param job uid of the resource, for people
     * @throws TrainerException Fenced when this or a newer attempt has been here
     */
    public Fence acquire(int attempt, String job, String time) throws IOException {
        Files.createDirectories(checkpoints());
        int owner = owner().orElse(0);
        List<Accepted> accepted = complete().stream()
                .map(c -> new Accepted(c.step(), c.attempt()))
                .toList();
        Path file = folder.resolve("attempt-%05d".formatted(attempt));
        if (owner < attempt) {
            try {
                Durable.create(file, Json.bytes(new FenceContent(attempt, job, time, accepted)));
                Buckets.abortUploads(folder); // those of attempts that are gone, or will be told so
                return new Fence(attempt);
            } catch (FileAlreadyExistsException e) {
                owner = attempt;
            }
        }
        throw new TrainerException(
                ExitCode.Fenced,
                "attempt " + owner + " owns " + folder + "; attempt " + attempt
                        + " can't begin there (is another job writing to the same output.location?)");
    }

    /** The newest attempt that has been here. */
    public OptionalInt owner() throws IOException {
        return list(folder, FENCE).stream().mapToInt(Numbered::number).max();
    }

    /** All checkpoints that count, newest first; nothing of them has been verified. */
    public List<Complete> complete() throws IOException {
        Optional<FenceContent> fence = fence();
        List<Complete> found = new ArrayList<>();
        for (Numbered step : list(checkpoints(), STEP)) {
            newest(step.path(), fence).ifPresent(found::add);
        }
        found.sort(Comparator.comparingLong(Complete::step).reversed());
        return found;
    }

    /** The checkpoint of one step, if it counts. */
    public Optional<Complete> complete(long step) throws IOException {
        return newest(stepFolder(step), fence());
    }

    /** What a finished checkpoint folder holds, whatever run it came from. */
    static Optional<Complete> at(Path stepFolder, Optional<RunFolder> run) throws IOException {
        return newest(stepFolder, run.isPresent() ? run.get().fence() : Optional.empty());
    }

    private static Optional<Complete> newest(Path stepFolder, Optional<FenceContent> fence) throws IOException {
        Matcher name = STEP.matcher(stepFolder.getFileName().toString());
        if (!name.matches()) {
            return Optional.empty();
        }
        long step = Long.parseLong(name.group(1));
        return list(stepFolder, MANIFEST).stream()
                .filter(m -> fence.isEmpty()
                        || m.number() == fence.get().attempt()
                        || fence.get().accepted().contains(new Accepted(step, m.number())))
                .max(Comparator.comparingInt(Numbered::number))
                .map(m -> new Complete(step, m.number(), stepFolder, m.path()));
    }

    /** Of the newest attempt that came so far as to own the run: one that ended while it took the fence left an empty file, and nothing else. */
    private Optional<FenceContent> fence() throws IOException {
        List<Numbered> newestFirst = list(folder, FENCE).stream()
                .sorted(Comparator.comparingInt(Numbered::number).reversed())
                .toList();
        for (Numbered fence : newestFirst) {
            if (Files.size(fence.path()) > 0) {
                return Optional.of(Json.read(fence.path(), MAX_FENCE_BYTES, FenceContent.class));
            }
        }
        return Optional.empty();
    }

    /** The uid of the resource that an attempt worked for; empty when its fence is gone or can't be read. */
    public Optional<String> job(int attempt) {
        try {
            return Optional.ofNullable(
                    Json.read(folder.resolve("attempt-%05d".formatted(attempt)), MAX_FENCE_BYTES, FenceContent.class)
                            .job());
        } catch (IOException unreadable) {
            return Optional.empty();
        }
    }

    /** All step folders, complete or not, ascending. */
    List<Long> stepFolders() throws IOException {
        return list(checkpoints(), STEP).stream()
                .map(n -> (long) n.number())
                .sorted()
                .toList();
    }

    Path checkpoints() {
        return folder.resolve("checkpoints");
    }

    /** Folder of one step's checkpoint. */
    public Path stepFolder(long step) {
        return checkpoints().resolve(stepName(step));
    }

    /** Folder of one step's export. */
    public Path export(long step) {
        return folder.resolve("exports").resolve(stepName(step));
    }

    static String stepName(long step) {
        return "step-%09d".formatted(step);
    }

    private record Numbered(int number, Path path) {}

    private static List<Numbered> list(Path folder, Pattern pattern) throws IOException {
        List<Numbered> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                Matcher name = pattern.matcher(entry.getFileName().toString());
                if (name.matches()) {
                    found.add(new Numbered(Integer.parseInt(name.group(1)), entry));
                    if (found.size() > MAX_ENTRIES) {
                        throw new IOException(folder + ": more than " + MAX_ENTRIES + " entries");
                    }
                }
            }
        } catch (NoSuchFileException | java.nio.file.NotDirectoryException e) {
            return List.of();
        }
        return found;
    }
}
