package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Copies a checkpoint into a model, whatever the number of ranks that wrote it. The files have been verified before. */
final class CheckpointReader {
    private static final int MAX_PROBLEMS = 6;

    private final Path folder;
    private final Manifest manifest;

    CheckpointReader(Path folder, Manifest manifest) {
        this.folder = folder;
        this.manifest = manifest;
    }

    /**
     * Fills all weights, trained or not.
     *
     * @throws TrainerException InvalidConfiguration when the checkpoint is of another shape, naming what differs
     */
    void readWeights(Weights weights) throws IOException {
        Map<String, Parameter> wanted = new HashMap<>();
        weights.parameters().forEach(p -> wanted.put(p.name(), p));
        Set<String> missing = new HashSet<>(wanted.keySet());
        List<String> problems = new ArrayList<>();
        try (Scope scope = Scope.open()) {
            Map<String, MemorySegment> targets = new HashMap<>();
            for (Manifest.Piece piece : manifest.parameters()) {
                fit(wanted, piece.name(), piece.shape(), problems);
                missing.remove(piece.name());
            }
            for (Manifest.FileEntry entry : frozenFiles()) {
                try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                    for (Safetensors.Entry tensor : file.entries().values()) {
                        fit(wanted, tensor.name(), tensor.shape(), problems);
                        missing.remove(tensor.name());
                    }
                }
            }
            missing.stream().sorted().forEach(name -> problems.add(name + " is missing"));
            refuse(problems);
            wanted.keySet()
                    .forEach(name -> targets.put(name, weights.view(name, scope).data()));
            copyPieces(targets);
            for (Manifest.FileEntry entry : frozenFiles()) {
                try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                    for (Safetensors.Entry tensor : file.entries().values()) {
                        targets.get(tensor.name()).copyFrom(tensor.data());
                        WeightCopy.release(tensor.data());
                    }
                }
            }
        }
    }

    /** Fills the moments; the parameters must be the same in the same order. */
    void readMoments(Weights weights, MemorySegment first, MemorySegment second) throws IOException {
        List<Manifest.Piece> own = pieces(weights);
        if (!own.equals(manifest.parameters())) {
            throw TrainerException.configuration("the checkpoint " + folder + " trained other parts of the model ("
                    + manifest.trained() + "); it can't be resumed with these");
        }
        for (Manifest.FileEntry entry : rankFiles()) {
            try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                long at = from(file) * Float.BYTES;
                copy(file.get(CheckpointWriter.FIRST_MOMENT), first, at);
                copy(file.get(CheckpointWriter.SECOND_MOMENT), second, at);
            }
        }
    }

    static List<Manifest.Piece> pieces(Weights weights) {
        return weights.trained().stream()
                .map(p -> new Manifest.Piece(p.name(), p.shape()))
                .toList();
    }

    private void copyPieces(Map<String, MemorySegment> targets) throws IOException {
        long covered = 0;
        for (Manifest.FileEntry entry : rankFiles()) {
            try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                Safetensors.Entry values = file.get(CheckpointWriter.WEIGHTS);
                long from = from(file);
                long to = from + values.data().byteSize() / Float.BYTES;
                covered += to - from;
                long start = 0;
                for (Manifest.Piece piece : manifest.parameters()) {
                    long end = start + piece.count();
                    long low = Math.max(start, from);
                    long high = Math.min(end, to);
                    if (low < high) {
                        MemorySegment.copy(
                                values.data(),
                                (low - from) * Float.BYTES,
                                targets.get(piece.name()),
                                (low - start) * Float.BYTES,
                                (high - low) * Float.BYTES);
                        WeightCopy.release(
                                values.data().asSlice((low - from) * Float.BYTES, (high - low) * Float.BYTES));
                    }
                    start = end;
                }
            }
        }
        long all =
                manifest.parameters().stream().mapToLong(Manifest.Piece::count).sum();
        if (covered != all) {
            throw new IOException(folder + ": the parts hold " + covered + " weights, the manifest lists " + all);
        }
    }

    private void copy(Safetensors.Entry source, MemorySegment target, long at) throws IOException {
        if (source.type() != DType.FLOAT32 || at + source.data().byteSize() > target.byteSize()) {
            throw new IOException(source.file() + ": " + source.name() + " does not fit the model");
        }
        MemorySegment.copy(source.data(), 0, target, at, source.data().byteSize());
    }

    private static long from(Safetensors file) throws IOException {
        try {
            return Long.parseLong(file.metadata().getOrDefault(CheckpointWriter.FROM, ""));
        } catch (NumberFormatException e) {
            throw new IOException("a part without its place among the weights", e);
        }
    }

    private void fit(Map<String, Parameter> wanted, String name, List<Long> shape, List<String> problems) {
        Parameter parameter = wanted.get(name);
        if (parameter == null) {
            problems.add(name + " is not part of the model");
        } else if (!parameter.shape().equals(shape)) {
            problems.add(name + " has shape " + shape + ", the model needs " + parameter.shape());
        }
    }

    private void refuse(List<String> problems) {
        if (!problems.isEmpty()) {
            int more = problems.size() - MAX_PROBLEMS;
            throw TrainerException.configuration("the checkpoint " + folder + " is of another shape than the model: "
                    + String.join("; ", problems.subList(0, Math.min(problems.size(), MAX_PROBLEMS)))
                    + (more > 0 ? "; and " + more + " more" : ""));
        }
    }

    private List<Manifest.FileEntry> rankFiles() {
        return manifest.files().stream()
                .filter(f -> f.name().startsWith("rank-"))
                .toList();
    }

    private List<Manifest.FileEntry> frozenFiles() {
        return manifest.files().stream()
                .filter(f -> f.name().startsWith("frozen-"))
                .toList();
    }
}
