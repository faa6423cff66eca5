package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.HostMemory;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Writes one checkpoint: every rank its part of the flat buffers, rank 0 the frozen weights, the tokenizer and, when all parts are on
 * the disk, the manifest. File names carry the attempt, so that a replaced attempt that wakes up can't write over anything that counts.
 */
public final class CheckpointWriter {
    static final String WEIGHTS = "weights";
    static final String FIRST_MOMENT = "exp_avg";
    static final String SECOND_MOMENT = "exp_avg_sq";
    /** Where the elements of a part belong, see {@link Ranges}. */
    static final String RANGES = "ranges";

    static final String TOKENIZER = "tokenizer.json";

    private final RunFolder run;
    private final int attempt;
    private final Faults faults;

    public CheckpointWriter(RunFolder run, int attempt, Faults faults) {
        this.run = run;
        this.attempt = attempt;
        this.faults = faults;
    }

    /**
     * Writes this rank's part of the trained weights and their moments: per kind one tensor, in which the ranges follow each other; where
     * they belong stands in the header.
     *
     * @param shards of this rank, ascending; none of several ranks overlap and together they are everything
     */
    public Manifest.FileEntry writePart(long step, int rank, int world, List<StateShard> shards) throws IOException {
        long count = shards.stream().mapToLong(StateShard::count).sum();
        String name = "rank-%05d-of-%05d-%05d.safetensors".formatted(rank, world, attempt);
        List<SafetensorsWriter.Item> items = new ArrayList<>();
        for (String tensor : List.of(WEIGHTS, FIRST_MOMENT, SECOND_MOMENT)) {
            items.add(SafetensorsWriter.Item.of(tensor, DType.FLOAT32, count));
        }
        return write(step, name, Map.of(RANGES, Ranges.text(shards)), items, out -> {
            out.write(WEIGHTS, shards.stream().map(StateShard::weights).toList());
            out.write(FIRST_MOMENT, shards.stream().map(StateShard::first).toList());
            out.write(SECOND_MOMENT, shards.stream().map(StateShard::second).toList());
        });
    }

    /** The weights that are not trained: nothing changes them, so they are written from where they are. */
    public record Frozen(List<Parameter> parameters, List<MemorySegment> values) {
        public Frozen {
            parameters = List.copyOf(parameters);
            values = List.copyOf(values);
        }

        /**
         * Of a model.
         *
         * @param scope owns the views: as long as it is open, any thread may write
         */
        public static Frozen of(Weights weights, Scope scope) {
            Set<Parameter> trained = new HashSet<>(weights.trained());
            List<Parameter> frozen = weights.parameters().stream()
                    .filter(p -> !trained.contains(p))
                    .toList();
            return new Frozen(
                    frozen,
                    frozen.stream()
                            .map(p -> scope.ops()
                                    .onHost(weights.view(p.name(), scope))
                                    .data())
                            .toList());
        }
    }

    /** Writes the weights that are not trained, by name; nothing when all are. */
    public Optional<Manifest.FileEntry> writeFrozen(long step, Frozen frozen) throws IOException {
        if (frozen.parameters().isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(write(
                step, "frozen-%05d.safetensors".formatted(attempt), Map.of(), items(frozen.parameters()), out -> {
                    for (int i = 0; i < frozen.parameters().size(); i++) {
                        out.write(
                                frozen.parameters().get(i).name(),
                                List.of(frozen.values().get(i)));
                    }
                }));
    }

    static List<SafetensorsWriter.Item> items(List<Parameter> parameters) {
        return parameters.stream()
                .map(p -> new SafetensorsWriter.Item(p.name(), DType.FLOAT32, p.shape()))
                .toList();
    }

    static void writeParameter(SafetensorsWriter writer, Weights weights, Parameter parameter) throws IOException {
        try (Scope scope = Scope.open();
                HostMemory memory = weights.view(parameter.name(), scope).host(HostMemory.Access.READ)) {
            writer.write(parameter.name(), memory.segment());
        }
    }

    /** Adds the tokenizer, so that the folder is all that is needed to go on. */
    public Manifest.FileEntry writeTokenizer(long step, byte[] tokenizer) throws IOException {
        run.check(attempt);
        Path file = folder(step).resolve(TOKENIZER);
        Path temporary = temporary(file);
        try {
            faults.before("write", temporary);
            Files.write(temporary, tokenizer);
            faults.before("force", temporary);
            Durable.forceFile(temporary);
            return finish(temporary, file, Json.digest(tokenizer));
        } finally {
            remove(temporary);
        }
    }

    /**
     * Makes the checkpoint count.
     *
     * @return digest of the manifest
     * @throws TrainerException Fenced when this attempt no longer owns the run
     */
    public String publish(RunFolder.Fence fence, Manifest manifest) throws IOException {
        Path file = run.stepFolder(manifest.step()).resolve("manifest-%05d.json".formatted(attempt));
        byte[] json = Json.bytes(manifest);
        Path temporary = temporary(file);
        try {
            faults.before("write", temporary);
            Files.write(temporary, json);
            faults.before("force", temporary);
            Durable.forceFile(temporary);
            faults.before("publish", file);
            fence.check();
            Durable.rename(temporary, file);
        } finally {
            remove(temporary);
        }
        return Json.digest(json);
    }

    private interface Content {
        void write(Output out) throws IOException;
    }

    private interface Output {
        /** Writes one tensor, whose bytes lie in these pieces. */
        void write(String name, List<MemorySegment> pieces) throws IOException;
    }

    private Manifest.FileEntry write(
            long step, String name, Map<String, String> metadata, List<SafetensorsWriter.Item> items, Content content)
            throws IOException {
        run.check(attempt);
        Path file = folder(step).resolve(name);
        Path temporary = temporary(file);
        try {
            faults.before("write", temporary);
            Files.deleteIfExists(temporary);
            MessageDigest sha256 = Json.sha256();
            try (SafetensorsWriter writer = new SafetensorsWriter(temporary, metadata, items, Optional.of(sha256))) {
                content.write((tensor, pieces) -> {
                    faults.before("append", temporary);
                    writer.write(tensor, pieces);
                });
                faults.before("force", temporary);
                writer.finish();
            }
            return finish(temporary, file, "sha256:" + HexFormat.of().formatHex(sha256.digest()));
        } finally {
            remove(temporary);
        }
    }

    /** A name that no other attempt writes to, whatever the name of the file. */
    private Path temporary(Path file) {
        return file.resolveSibling("." + file.getFileName() + ".%05d.tmp".formatted(attempt));
    }

    /** What a failed save leaves would take the room that the next one needs: on a full disk that is the difference. */
    private void remove(Path temporary) {
        try {
            if (Files.exists(temporary)) {
                faults.before("delete", temporary);
                Files.deleteIfExists(temporary);
            }
        } catch (IOException e) {
            // The save has failed already, and says why; what is left goes with the folder.
            return;
        }
    }

    private Manifest.FileEntry finish(Path temporary, Path file, String digest) throws IOException {
        faults.before("rename", file);
        run.check(attempt);
        Durable.rename(temporary, file);
        return new Manifest.FileEntry(file.getFileName().toString(), Files.size(file), digest);
    }

    private Path folder(long step) throws IOException {
        return Files.createDirectories(run.stepFolder(step));
    }

    private static long freeMib(Path path) {
        return Buckets.isRemote(path) ? 0 : path.toFile().getUsableSpace() >> 20;
    }

    /** A storage error in one line, with the place and, for a full disk, how much room there is. */
    public static TrainerException failed(String what, Path path, IOException cause) {
        String reason = TrainerException.reason(cause);
        if (reason.contains("No space left") || reason.contains("Disk quota exceeded")) {
            long free = freeMib(path);
            reason = "no space left on the device (" + free + " MiB free); enlarge the claim or keep fewer checkpoints";
        }
        return new TrainerException(ExitCode.StorageFailed, what + " " + path + ": " + reason, cause);
    }
}
