package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Part;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

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
 * @param computed how the weights were computed; missing where an older trainer wrote the checkpoint
 * @param guarded what the guards of loss and gradient saw and left out; missing for nothing
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
        List<FileEntry> files,
        Computed computed,
        Guarded guarded) {
    public static final int FORMAT_VERSION = 1;
    static final long MAX_BYTES = 64L << 20;
    private static final int MAX_LAYERS = 10_000;
    private static final int MAX_ENTRIES = 1_000_000;
    private static final int MAX_SHOWN = 100;
    private static final Pattern FILE_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,199}");
    private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");

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
     * @param device kind of device of the writing rank, {@code CPU} or {@code CUDA}
     * @param precision of the spec
     * @param determinism of the spec: whether the same job gives the same bits again on a GPU
     */
    public record Computed(String device, String precision, String determinism) {}

    /**
     * Steps whose batches updated nothing.
     *
     * @param from first one
     * @param to last one
     */
    public record Range(long from, long to) {}

    /**
     * @param nonFinites steps whose loss or gradient was no number
     * @param spikes steps skipped for a loss far above those before
     * @param skipped steps left out, ascending
     * @param losses of the newest steps, oldest first, as many as the rule compares with
     */
    public record Guarded(int nonFinites, int spikes, List<Range> skipped, List<Double> losses) {
        /** Of a run in which nothing happened and nobody compares losses. */
        public static final Guarded NOTHING = new Guarded(0, 0, List.of(), List.of());

        public Guarded {
            skipped = skipped == null ? List.of() : List.copyOf(skipped);
            losses = losses == null ? List.of() : List.copyOf(losses);
        }
    }

    /**
     * @param name in the checkpoint's folder
     * @param digest {@code sha256:...}
     */
    public record FileEntry(String name, Long bytes, String digest) {}

    /**
     * What makes this no manifest that can be worked with, whoever wrote it; whether the files are as listed is {@link Verifier}'s question.
     */
    Optional<String> problem() {
        if (formatVersion == null || formatVersion != FORMAT_VERSION) {
            return Optional.of("format version " + formatVersion + ", this trainer reads " + FORMAT_VERSION);
        }
        if (step == null
                || step < 1
                || tokens == null
                || tokens < 0
                || world == null
                || world < 1
                || attempt == null
                || attempt < 1
                || specDigest == null) {
            return Optional.of("step, tokens, world, attempt or specDigest is missing or below its least value");
        }
        if (model == null || model.language() == null || model.vision() == null || model.projector() == null) {
            return Optional.of("the model's sizes are not complete");
        }
        if (model.language().numHiddenLayers() > MAX_LAYERS || model.vision().numHiddenLayers() > MAX_LAYERS) {
            return Optional.of("the model has more than " + MAX_LAYERS + " layers");
        }
        if (files.size() > MAX_ENTRIES || parameters.size() > MAX_ENTRIES) {
            return Optional.of("it lists more than " + MAX_ENTRIES + " files or parameters");
        }
        return problemOfFiles().or(this::problemOfParameters);
    }

    private Optional<String> problemOfFiles() {
        Set<String> names = new HashSet<>();
        long sum = 0;
        for (FileEntry file : files) {
            if (file.name() == null || !FILE_NAME.matcher(file.name()).matches()) {
                return Optional.of("it names the file '" + shortened(file.name())
                        + "', which is no plain name in the checkpoint's own folder");
            }
            if (file.bytes() == null
                    || file.bytes() < 0
                    || file.bytes() > Long.MAX_VALUE - sum
                    || file.digest() == null
                    || !DIGEST.matcher(file.digest()).matches()) {
                return Optional.of("the size or digest of " + file.name() + " is missing or none");
            }
            if (!names.add(file.name())) {
                return Optional.of("it lists " + file.name() + " twice");
            }
            sum += file.bytes();
        }
        return names.contains(CheckpointWriter.TOKENIZER)
                ? Optional.empty()
                : Optional.of("it lists no " + CheckpointWriter.TOKENIZER);
    }

    private Optional<String> problemOfParameters() {
        try {
            long sum = 0;
            for (Piece piece : parameters) {
                if (piece.name() == null
                        || piece.shape() == null
                        || piece.shape().stream().anyMatch(size -> size == null || size < 1)) {
                    return Optional.of("the parameter " + shortened(piece.name()) + " has no usable shape");
                }
                sum = Math.addExact(sum, Math.multiplyExact(piece.count(), (long) Float.BYTES));
            }
            return Optional.empty();
        } catch (ArithmeticException e) {
            return Optional.of("its parameters are larger than any memory");
        }
    }

    private static String shortened(String text) {
        return text == null || text.length() <= MAX_SHOWN ? text : text.substring(0, MAX_SHOWN) + "...";
    }

    /** Bytes of all files. */
    public long bytes() {
        return files.stream().mapToLong(FileEntry::bytes).sum();
    }
}
