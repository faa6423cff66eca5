package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.HostWeights;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Weights;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

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
        try (Scope scope = Scope.open();
                HostWeights host = new HostWeights(weights, scope)) {
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
            wanted.keySet().forEach(name -> targets.put(name, host.write(name)));
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

    /**
     * Fills the moments; the parameters must be the same in the same order.
     *
     * @param targets ranges to fill; their weights stay as they are
     */
    void readMoments(Weights weights, List<StateShard> targets) throws IOException {
        List<Manifest.Piece> own = pieces(weights);
        if (!own.equals(manifest.parameters())) {
            throw TrainerException.configuration("the checkpoint " + folder + " trained other parts of the model ("
                    + manifest.trained() + "); it can't be resumed with these");
        }
        for (Manifest.FileEntry entry : rankFiles()) {
            try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                copy(file, CheckpointWriter.FIRST_MOMENT, targets, StateShard::first);
                copy(file, CheckpointWriter.SECOND_MOMENT, targets, StateShard::second);
            }
        }
    }

    static List<Manifest.Piece> pieces(Weights weights) {
        return weights.trained().stream()
                .map(p -> new Manifest.Piece(p.name(), p.shape()))
                .toList();
    }

    private void copyPieces(Map<String, MemorySegment> targets) throws IOException {
        requireWhole();
        for (Manifest.FileEntry entry : rankFiles()) {
            try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                MemorySegment values = floats(file, CheckpointWriter.WEIGHTS);
                long at = 0; // of the range within the file
                for (Ranges.Range range : ranges(entry, file)) {
                    copyRange(values, at, range, targets);
                    at += range.count();
                }
            }
        }
    }

    /** Copies one range, whose first element is element {@code at} of the file's, into the parameters it covers. */
    private void copyRange(MemorySegment values, long at, Ranges.Range range, Map<String, MemorySegment> targets) {
        long start = 0;
        for (Manifest.Piece piece : manifest.parameters()) {
            long end = start + piece.count();
            long low = Math.max(start, range.from());
            long high = Math.min(end, range.to());
            if (low < high) {
                long source = (at + low - range.from()) * Float.BYTES;
                long bytes = (high - low) * Float.BYTES;
                MemorySegment.copy(values, source, targets.get(piece.name()), (low - start) * Float.BYTES, bytes);
                WeightCopy.release(values.asSlice(source, bytes));
            }
            start = end;
        }
    }

    /** Every trained weight has to be in one part, and in one only. */
    void requireWhole() throws IOException {
        long all =
                manifest.parameters().stream().mapToLong(Manifest.Piece::count).sum();
        List<Ranges.Range> ranges = new ArrayList<>();
        for (Manifest.FileEntry entry : rankFiles()) {
            try (Safetensors file = Safetensors.open(folder.resolve(entry.name()))) {
                ranges.addAll(ranges(entry, file));
            }
        }
        ranges.sort(Comparator.comparingLong(Ranges.Range::from).thenComparingLong(Ranges.Range::to));
        long end = 0;
        for (Ranges.Range range : ranges) {
            if (range.from() != end) {
                throw new IOException(folder + ": its parts overlap or leave a gap at weight " + end);
            }
            end = range.to();
        }
        if (end != all) {
            throw new IOException(folder + ": the parts hold " + end + " weights, the manifest lists " + all);
        }
    }

    private List<Ranges.Range> ranges(Manifest.FileEntry entry, Safetensors file) throws IOException {
        return Ranges.read(
                folder.resolve(entry.name()),
                file.metadata(),
                floats(file, CheckpointWriter.WEIGHTS).byteSize() / Float.BYTES);
    }

    private static MemorySegment floats(Safetensors file, String tensor) throws IOException {
        Safetensors.Entry entry = file.get(tensor);
        if (entry.type() != DType.FLOAT32) {
            throw new SafetensorsException(entry.file(), tensor + " is " + entry.type() + ", not FLOAT32");
        }
        return entry.data();
    }

    private static void copy(
            Safetensors file, String tensor, List<StateShard> targets, Function<StateShard, MemorySegment> place)
            throws IOException {
        MemorySegment source = floats(file, tensor);
        long at = 0;
        for (Ranges.Range range :
                Ranges.read(file.get(tensor).file(), file.metadata(), source.byteSize() / Float.BYTES)) {
            for (StateShard target : targets) {
                long low = Math.max(range.from(), target.from());
                long high = Math.min(range.to(), target.to());
                if (low < high) {
                    long bytes = (high - low) * Float.BYTES;
                    Torch.start()
                            .copyMemory(
                                    source.asSlice((at + low - range.from()) * Float.BYTES, bytes),
                                    place.apply(target).asSlice((low - target.from()) * Float.BYTES, bytes));
                }
            }
            at += range.count();
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
