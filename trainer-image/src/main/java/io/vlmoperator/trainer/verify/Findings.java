package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.vlmoperator.trainer.checkpoint.SafetensorsWriter;
import java.io.BufferedWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a run of reference cases found, and where our own results go. Not for use by several threads. */
final class Findings {
    private static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    private static final ObjectMapper LINES = new ObjectMapper();
    private static final int SHOWN = 200;

    private final List<Comparison> all = new ArrayList<>();
    private final Optional<Path> dump;

    Findings(Optional<Path> dump) {
        this.dump = dump;
    }

    List<Comparison> all() {
        return Collections.unmodifiableList(all);
    }

    void add(String what, Comparison.Measure measure) {
        all.add(new Comparison(what, measure));
    }

    /** Two numbers, with the usual tolerance relative to the expected one. */
    void number(String what, double actual, double expected) {
        double difference = Math.abs(actual - expected);
        add(
                what,
                new Comparison.Difference(
                        difference, difference == 0 ? 0 : difference / Math.abs(expected), Comparison.RELATIVE));
    }

    /** A number that is zero by mathematics, in relation to something that is not. */
    void zero(String what, double actual, double scale) {
        add(what, new Comparison.Difference(actual, actual == 0 ? 0 : actual / scale, Comparison.RELATIVE));
    }

    /** Counts what must be equal; the first difference is shown. */
    Tally tally(String what) {
        return new Tally(this, what);
    }

    void leftOut(String what, String why) {
        add(what, new Comparison.LeftOut(why));
    }

    void failed(String what, String why) {
        add(what, new Comparison.Failure(why));
    }

    /** A count of equal and differing things of one kind; becomes one line when it is closed. */
    static final class Tally implements AutoCloseable {
        private final Findings findings;
        private final String what;
        private long compared;
        private long differing;
        private String first = "";

        private Tally(Findings findings, String what) {
            this.findings = findings;
            this.what = what;
        }

        void equal(String name, Object actual, Object expected) {
            equal(
                    name,
                    java.util.Objects.equals(actual, expected),
                    () -> shortened(actual) + ", expected " + shortened(expected));
        }

        void equal(String name, boolean same, java.util.function.Supplier<String> difference) {
            compared++;
            if (!same) {
                if (differing == 0) {
                    first = name + ": " + difference.get();
                }
                differing++;
            }
        }

        private static String shortened(Object value) {
            String text = String.valueOf(value).replace("\n", "\\n");
            return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "...";
        }

        @Override
        public void close() {
            if (compared > 0) {
                findings.add(what, new Comparison.Equality(differing, compared, first));
            }
        }
    }

    boolean dumps() {
        return dump.isPresent();
    }

    /** Writes our tensors as {@code OUT/KIND/CASE.safetensors}. */
    void tensors(String kind, String name, Map<String, Values> tensors) throws IOException {
        if (dump.isEmpty()) {
            return;
        }
        Path folder = Files.createDirectories(dump.get().resolve(kind));
        Path file = folder.resolve(name + ".safetensors");
        Files.deleteIfExists(file);
        List<SafetensorsWriter.Item> items = new ArrayList<>();
        tensors.forEach(
                (tensor, values) -> items.add(new SafetensorsWriter.Item(tensor, values.type(), values.shape())));
        try (SafetensorsWriter writer = new SafetensorsWriter(file, Map.of(), items)) {
            for (Map.Entry<String, Values> tensor : tensors.entrySet()) {
                writer.write(
                        tensor.getKey(), MemorySegment.ofArray(tensor.getValue().bytes()));
            }
            writer.finish();
        }
    }

    /** Writes {@code OUT/KIND/NAME} as one JSON value. */
    void json(String kind, String name, Object value) throws IOException {
        if (dump.isPresent()) {
            JSON.writeValue(
                    Files.createDirectories(dump.get().resolve(kind))
                            .resolve(name)
                            .toFile(),
                    value);
        }
    }

    /** Writes {@code OUT/KIND/NAME}, one JSON value a line. */
    void lines(String kind, String name, List<? extends JsonNode> rows) throws IOException {
        if (dump.isEmpty()) {
            return;
        }
        Path file = dump.get().resolve(kind).resolve(name);
        Files.createDirectories(file.getParent());
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            for (JsonNode row : rows) {
                out.write(LINES.writer()
                        .without(JsonGenerator.Feature.AUTO_CLOSE_TARGET)
                        .writeValueAsString(row));
                out.write('\n');
            }
        }
    }

    /** Writes {@code OUT/report.json}. */
    void report() throws IOException {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("compared", compared());
        report.put("failed", failed().stream().map(Comparison::what).toList());
        report.put("comparisons", all.stream().map(Comparison::json).toList());
        json("", "report.json", report);
    }

    long compared() {
        return all.stream()
                .filter(c -> !(c.measure() instanceof Comparison.LeftOut))
                .count();
    }

    List<Comparison> failed() {
        return all.stream().filter(c -> !c.passed()).toList();
    }
}
