package io.vlmoperator.e2e;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** The manifests of examples/emoji, made small enough for a test: the same fields, smaller numbers. */
public final class Manifests {
    private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

    private Manifests() {}

    /** In the order of their file names. */
    public static List<ObjectNode> small(Path examples) {
        try (Stream<Path> files = Files.list(examples)) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .sorted()
                    .map(Manifests::read)
                    .map(Manifests::shrink)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The one of a kind (the first, when there are several), changed. */
    public static ObjectNode one(List<ObjectNode> all, String kind, Consumer<ObjectNode> change) {
        ObjectNode found = all.stream()
                .filter(manifest -> manifest.get("kind").asText().equals(kind))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no " + kind + " in examples/emoji"))
                .deepCopy();
        change.accept(found);
        return found;
    }

    /** Its spec. */
    public static ObjectNode spec(JsonNode manifest) {
        return (ObjectNode) manifest.get("spec");
    }

    private static ObjectNode read(Path file) {
        try {
            return (ObjectNode) YAML.readTree(file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }

    private static ObjectNode shrink(ObjectNode manifest) {
        ObjectNode spec = spec(manifest);
        switch (manifest.get("kind").asText()) {
            case "PretrainJob" -> {
                ObjectNode language = (ObjectNode) spec.at("/model/language/config");
                language.put("hiddenSize", 32)
                        .put("intermediateSize", 64)
                        .put("numHiddenLayers", 2)
                        .put("numAttentionHeads", 2)
                        .put("numKeyValueHeads", 1);
                ObjectNode vision = (ObjectNode) spec.at("/model/vision/config");
                vision.put("hiddenSize", 32)
                        .put("intermediateSize", 64)
                        .put("numHiddenLayers", 2)
                        .put("numAttentionHeads", 2);
                stop(spec, 30);
            }
            case "SFTJob" -> stop(spec, 20);
            default -> {
                // Datasets and scores are small because the data is.
            }
        }
        return manifest;
    }

    private static void stop(ObjectNode spec, int steps) {
        ((ObjectNode) spec.get("schedule")).putObject("stopAfter").put("steps", steps);
        ((ObjectNode) spec.get("checkpoints")).put("everySteps", 10);
        ((ObjectNode) spec.get("batch")).put("globalSize", 8).put("microSize", 4);
    }
}
