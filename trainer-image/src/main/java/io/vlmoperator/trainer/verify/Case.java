package io.vlmoperator.trainer.verify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * One reference case, {@code NAME.safetensors} with {@code NAME.json}, and what our code gave for it.
 *
 * @param kind folder, such as {@code decoder}
 * @param name file name without ending
 * @param golden expected tensors, and inputs
 * @param facts expected scalars
 * @param inputs names of the tensors that were read to compute the others
 * @param produced our tensors, under the golden's names
 * @param scalars our scalars, under the golden's names
 */
record Case(
        String kind,
        String name,
        Safetensors golden,
        JsonNode facts,
        Set<String> inputs,
        Map<String, Values> produced,
        Map<String, Double> scalars)
        implements AutoCloseable {

    static Case open(Path folder, String name) throws IOException {
        Path json = folder.resolve(name + ".json");
        return new Case(
                folder.getFileName().toString(),
                name,
                Safetensors.open(folder.resolve(name + ".safetensors")),
                Files.exists(json) ? new ObjectMapper().readTree(json.toFile()) : new ObjectMapper().createObjectNode(),
                new HashSet<>(),
                new LinkedHashMap<>(),
                new LinkedHashMap<>());
    }

    /** Names of the cases of a folder, sorted. */
    static List<String> names(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".safetensors"))
                    .map(name -> name.substring(0, name.length() - ".safetensors".length()))
                    .sorted()
                    .toList();
        }
    }

    boolean has(String tensor) {
        return golden.find(tensor).isPresent();
    }

    /** What stands before the name of a quantity. */
    String what(String quantity) {
        return kind + "/" + name + "/" + quantity;
    }

    /** A tensor that our result is computed from. */
    Safetensors.Entry input(String tensor) throws IOException {
        inputs.add(tensor);
        return golden.get(tensor);
    }

    /** A tensor of whole numbers that our result is computed from. */
    int[] ints(String tensor) throws IOException {
        return input(tensor).ints();
    }

    void put(String tensor, Values values) {
        produced.put(tensor, values);
    }

    @Override
    public void close() {
        golden.close();
    }
}
