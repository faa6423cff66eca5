package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.vlmoperator.trainer.checkpoint.SafetensorsWriter;
import io.vlmoperator.trainer.op.DType;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * {@code vlm-trainer verify DIR --dump OUT}: runs every case of a reference folder through the code that trains, and compares. Sizes, names
 * and seeds come from the files.
 */
public final class Verify {
    private static final List<String> KINDS = List.of("decoder", "vision", "projector", "vlm");

    private Verify() {}

    /**
     * Runs the cases of {@code directory} (folders {@code decoder}, {@code vision}, {@code projector}, {@code vlm}, those that exist).
     *
     * @param dump where our tensors go, as {@code KIND/CASE.safetensors}, with {@code report.json}; nowhere if empty
     * @return every comparison made
     */
    public static List<Comparison> run(Path directory, Optional<Path> dump) throws IOException {
        List<Comparison> all = new ArrayList<>();
        for (String kind : KINDS) {
            for (String name : Case.names(directory.resolve(kind))) {
                all.addAll(run(directory, kind, name, dump));
            }
        }
        if (all.isEmpty()) {
            throw new IOException(directory + " holds none of the folders " + KINDS + " with cases");
        }
        if (dump.isPresent()) {
            report(dump.get(), all);
        }
        return all;
    }

    /** Runs one case. */
    static List<Comparison> run(Path directory, String kind, String name, Optional<Path> dump) throws IOException {
        Path folder = directory.resolve(kind);
        try (Case result = Case.open(folder, name)) {
            switch (kind) {
                case "decoder" -> DecoderCases.run(folder, result);
                case "vision" -> VisionCases.run(folder, result);
                case "projector" -> ProjectorCases.run(result);
                case "vlm" -> VlmCases.run(folder, result);
                default -> throw new IllegalArgumentException("no cases of kind " + kind);
            }
            if (dump.isPresent()) {
                dump(dump.get().resolve(kind), result);
            }
            return Comparison.all(result);
        }
    }

    private static void dump(Path folder, Case result) throws IOException {
        Files.createDirectories(folder);
        Path file = folder.resolve(result.name() + ".safetensors");
        Files.deleteIfExists(file);
        List<SafetensorsWriter.Item> items = new ArrayList<>();
        result.produced()
                .forEach((name, values) -> items.add(new SafetensorsWriter.Item(name, DType.FLOAT32, values.shape())));
        try (SafetensorsWriter writer = new SafetensorsWriter(file, Map.of(), items)) {
            for (Map.Entry<String, Values> tensor : result.produced().entrySet()) {
                writer.write(
                        tensor.getKey(), MemorySegment.ofArray(tensor.getValue().elements()));
            }
            writer.finish();
        }
        new ObjectMapper()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .writeValue(folder.resolve(result.name() + ".json").toFile(), result.scalars());
    }

    private static void report(Path dump, List<Comparison> all) throws IOException {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("compared", all.size());
        report.put(
                "failed",
                all.stream().filter(c -> !c.passed()).map(Comparison::what).toList());
        report.put("comparisons", all);
        Files.createDirectories(dump);
        new ObjectMapper()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .writeValue(dump.resolve("report.json").toFile(), report);
    }

    /**
     * Prints the worst comparison of each case and those that failed.
     *
     * @return whether all passed
     */
    public static boolean print(List<Comparison> all, PrintStream out) {
        Map<String, Comparison> worst = new LinkedHashMap<>();
        for (Comparison comparison : all) {
            String name = comparison.what().substring(0, comparison.what().lastIndexOf('/'));
            worst.merge(name, comparison, (a, b) -> a.difference() / a.limit() >= b.difference() / b.limit() ? a : b);
        }
        worst.forEach((name, c) -> out.printf(
                "%-50s %.1e of %.0e  %s%n",
                name, c.difference(), c.limit(), c.what().substring(name.length() + 1)));
        List<Comparison> failed = all.stream().filter(c -> !c.passed()).toList();
        failed.forEach(c -> out.printf("FAILED %s: %.3e, allowed %.0e%n", c.what(), c.difference(), c.limit()));
        out.printf("%d compared, %d failed%n", all.size(), failed.size());
        return failed.isEmpty();
    }

    /** {@code DIR [--dump OUT]}; exit code 1 if a comparison failed. */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 1 && !(arguments.length == 3 && arguments[1].equals("--dump"))) {
            System.err.println("usage: verify DIR [--dump OUT]");
            System.exit(64);
        }
        Optional<Path> dump = arguments.length == 3 ? Optional.of(Path.of(arguments[2])) : Optional.empty();
        System.exit(print(run(Path.of(arguments[0]), dump), System.out) ? 0 : 1);
    }
}
