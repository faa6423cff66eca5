package io.vlmoperator.trainer.eval;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.vlmoperator.api.status.BenchmarkResult;
import io.vlmoperator.trainer.TrainerException;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What an evaluation leaves in its run folder: {@code results.json} and {@code predictions/NAME_PROTOCOL.tsv}. Each file is written under
 * another name and then renamed, so a reader never sees half of one.
 */
final class RunFiles {
    private static final String RESULTS = "results.json";
    private static final int FORMAT = 1;

    private final ObjectMapper json = new ObjectMapper()
            .setDefaultPropertyInclusion(JsonInclude.Include.NON_NULL)
            .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
            .enable(SerializationFeature.INDENT_OUTPUT);
    private final Path run;

    RunFiles(Path run) {
        this.run = run;
        try {
            Files.createDirectories(run.resolve("predictions"));
        } catch (IOException e) {
            throw TrainerException.storage("can't create " + run.resolve("predictions") + ": " + e.getMessage(), e);
        }
    }

    /**
     * One finished benchmark by one protocol.
     *
     * @param key of everything that decides the outcome: finished ones with this key are not run again
     * @param results the benchmark's own score first; with all categories
     * @param skipped rows that were not asked, the first ones
     */
    record Finished(
            String benchmark, String protocol, String key, List<BenchmarkResult> results, List<Skipped> skipped) {
        Finished {
            results = List.copyOf(results);
            skipped = List.copyOf(skipped);
        }
    }

    /** A row that was not asked, and why. */
    record Skipped(long index, String reason) {}

    private record Document(int formatVersion, List<Finished> finished) {}

    /** What earlier attempts finished; empty if the file is missing or is none of ours. */
    List<Finished> read() {
        Path file = run.resolve(RESULTS);
        if (!Files.isRegularFile(file)) {
            return List.of();
        }
        try {
            Document document = json.readValue(Files.readAllBytes(file), Document.class);
            return document.formatVersion() == FORMAT && document.finished() != null ? document.finished() : List.of();
        } catch (JsonProcessingException e) {
            // Published by rename, so it is foreign or damaged: the scores are computed again.
            return List.of();
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
    }

    void write(List<Finished> finished) {
        Path file = run.resolve(RESULTS);
        publish(file, out -> out.write(json.writeValueAsString(new Document(FORMAT, finished)) + "\n"));
    }

    boolean hasPredictions(String name) {
        return Files.isRegularFile(predictions(name));
    }

    private Path predictions(String name) {
        return run.resolve("predictions").resolve(name + ".tsv");
    }

    /**
     * Writes predictions in the layout of VLMEvalKit's result files: the benchmark's columns without the image, then {@code prediction} and
     * {@code hit}.
     *
     * @param rows cells of the benchmark's columns, prediction and hit
     */
    void writePredictions(String name, List<String> columns, List<List<String>> rows) {
        publish(predictions(name), out -> {
            List<String> header = new ArrayList<>(columns);
            header.addAll(List.of("prediction", "hit"));
            line(out, header);
            for (List<String> row : rows) {
                line(out, row);
            }
        });
    }

    private static void line(BufferedWriter out, List<String> cells) throws IOException {
        out.write(String.join("\t", cells.stream().map(RunFiles::quoted).toList()));
        out.write('\n');
    }

    private static String quoted(String cell) {
        boolean plain = cell.chars().noneMatch(c -> c == '\t' || c == '\n' || c == '\r' || c == '"');
        return plain ? cell : '"' + cell.replace("\"", "\"\"") + '"';
    }

    @FunctionalInterface
    private interface Content {
        void writeTo(BufferedWriter out) throws IOException;
    }

    private static void publish(Path file, Content content) {
        Path temporary = file.resolveSibling("." + file.getFileName() + ".tmp");
        try {
            try (BufferedWriter out = Files.newBufferedWriter(temporary)) {
                content.writeTo(out);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw TrainerException.storage("can't write " + file + ": " + e.getMessage(), e);
        }
    }

    /** The finished one with this key, if its predictions are still there. */
    static Optional<Finished> find(List<Finished> finished, String key) {
        return finished.stream().filter(one -> one.key().equals(key)).findFirst();
    }
}
