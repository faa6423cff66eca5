package io.vlmoperator.e2e.soak;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** A run folder, seen from outside: what must be whole in it, and what must be equal in two of them. */
final class Run {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;

    Run(Path folder) {
        this.folder = folder;
    }

    Path folder() {
        return folder;
    }

    /** One {@code step loss} a line, as written. */
    List<String> losses() throws IOException {
        List<String> losses = new ArrayList<>();
        for (String line : Lab.lines(folder.resolve("metrics.jsonl"))) {
            if (!line.endsWith("}")) {
                break; // what a kill has broken off; requireWhole does not allow it
            }
            JsonNode record = JSON.readTree(line);
            // The text of the number, not its value.
            losses.add(record.get("step").asText() + " " + line.replaceAll(".*\"loss\":([^,}]*)[,}].*", "$1"));
        }
        return losses;
    }

    /** Digest of the exported weights. */
    String weights() throws Exception {
        return digest(export());
    }

    private Path export() throws IOException {
        try (Stream<Path> exports = Files.list(folder.resolve("exports"))) {
            return exports.filter(path -> path.getFileName().toString().startsWith("step-"))
                    .max(java.util.Comparator.naturalOrder())
                    .orElseThrow(() -> new AssertionError("no export in " + folder))
                    .resolve("model.safetensors");
        }
    }

    /** Newest first: steps with a manifest. */
    List<Long> checkpoints() throws IOException {
        return manifests().stream()
                .map(path ->
                        Long.parseLong(path.getParent().getFileName().toString().substring("step-".length())))
                .distinct()
                .sorted(java.util.Comparator.reverseOrder())
                .toList();
    }

    List<Path> manifests() throws IOException {
        Path checkpoints = folder.resolve("checkpoints");
        if (!Files.isDirectory(checkpoints)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(checkpoints, 2)) {
            return files.filter(path -> path.getFileName().toString().startsWith("manifest-"))
                    .sorted()
                    .toList();
        }
    }

    /** Whole checkpoints, and whole records: for a run that ended by itself. */
    void requireWhole() throws Exception {
        requireWholeCheckpoints();
        Path metrics = folder.resolve("metrics.jsonl");
        if (Files.exists(metrics) && Files.size(metrics) > 0) {
            require(Files.readString(metrics).endsWith("\n"), metrics + " ends in the middle of a line");
            losses();
        }
    }

    /** No file under a final name is half a file: what a manifest lists has its size and digest, weights are as long as they say. */
    void requireWholeCheckpoints() throws Exception {
        for (Path manifest : manifests()) {
            JsonNode content = JSON.readTree(manifest.toFile());
            for (JsonNode file : content.get("files")) {
                Path path = manifest.resolveSibling(file.get("name").asText());
                require(Files.exists(path), path + " is missing");
                require(Files.size(path) == file.get("bytes").asLong(), path + " has " + Files.size(path) + " bytes");
                require(
                        file.get("digest").asText().equals("sha256:" + digest(path)),
                        path + " is not what its manifest says");
            }
        }
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = file.getFileName().toString();
                if (name.endsWith(".safetensors") && !name.startsWith(".") && !building(file)) {
                    requireSafetensors(file);
                }
            }
        }
    }

    /** Below a folder that is still under its temporary name. */
    private boolean building(Path file) {
        for (Path name : folder.relativize(file)) {
            if (name.toString().startsWith(".")) {
                return true;
            }
        }
        return false;
    }

    private static void requireSafetensors(Path file) throws IOException {
        try (var channel = java.nio.channels.FileChannel.open(file)) {
            ByteBuffer head = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            require(channel.read(head) == 8, file + " is shorter than its header's length");
            long length = head.flip().getLong();
            require(length > 0 && length < channel.size(), file + " is shorter than its header");
            ByteBuffer header = ByteBuffer.allocate((int) length);
            while (header.hasRemaining() && channel.read(header) > 0) {
                continue;
            }
            long end = 0;
            for (JsonNode tensor : JSON.readTree(header.array())) {
                end = Math.max(end, tensor.path("data_offsets").path(1).asLong());
            }
            require(
                    channel.size() == 8 + length + end,
                    file + " has " + channel.size() + " bytes, not " + (8 + length + end));
        }
    }

    /** Loss curve text for text, weights byte for byte. */
    void requireEqual(Run undisturbed) throws Exception {
        List<String> own = losses();
        List<String> expected = undisturbed.losses();
        for (int i = 0; i < Math.min(own.size(), expected.size()); i++) {
            require(
                    own.get(i).equals(expected.get(i)),
                    "record " + (i + 1) + " of " + folder + " is '" + own.get(i) + "', undisturbed '" + expected.get(i)
                            + "'");
        }
        require(
                own.size() == expected.size(),
                folder + " has " + own.size() + " records, undisturbed " + expected.size());
        require(
                weights().equals(undisturbed.weights()),
                "the exported weights of " + folder + " differ from the undisturbed");
    }

    /** Name to digest of all files. */
    Map<String, String> snapshot() throws Exception {
        Map<String, String> all = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                all.put(folder.relativize(file).toString(), digest(file));
            }
        }
        return all;
    }

    static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static String digest(Path file) throws IOException {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
