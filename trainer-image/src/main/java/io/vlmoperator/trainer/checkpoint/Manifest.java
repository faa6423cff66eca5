package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import java.util.List;

/**
 * What makes a checkpoint: published last, under the name {@code manifest-ATTEMPT.json}. A folder without one is no checkpoint.
 *
 * @param formatVersion of this file
 * @param step completed optimizer steps
 * @param tokens trained on so far, visual and text
 * @param world ranks that wrote it: each has one file with its part of the flat buffers
 * @param time RFC 3339
 * @param loss training loss of the step
 * @param specDigest of what the run trains (the frozen fields of its spec)
 * @param codeVersion of the trainer
 * @param model sizes
 * @param trained parts in the flat buffers
 * @param parameters trained ones, in the order of the flat buffers
 */
public record Manifest(
        Integer formatVersion,
        Long step,
        Long tokens,
        Integer world,
        Integer attempt,
        String time,
        Double loss,
        String specDigest,
        List<String> datasetDigests,
        String codeVersion,
        ModelConfig model,
        List<Part> trained,
        List<Piece> parameters,
        List<FileEntry> files) {
    public static final int FORMAT_VERSION = 1;
    static final long MAX_BYTES = 64L << 20;

    public Manifest {
        datasetDigests = datasetDigests == null ? List.of() : List.copyOf(datasetDigests);
        trained = trained == null ? List.of() : List.copyOf(trained);
        parameters = parameters == null ? List.of() : List.copyOf(parameters);
        files = files == null ? List.of() : List.copyOf(files);
    }

    /** One parameter in the flat buffers; they follow each other without gaps. */
    public record Piece(String name, List<Long> shape) {
        long count() {
            return shape.stream().reduce(1L, Math::multiplyExact);
        }
    }

    /**
     * @param name in the checkpoint's folder
     * @param digest {@code sha256:...}
     */
    public record FileEntry(String name, Long bytes, String digest) {}

    /** Bytes of all files. */
    public long bytes() {
        return files.stream().mapToLong(FileEntry::bytes).sum();
    }
}
