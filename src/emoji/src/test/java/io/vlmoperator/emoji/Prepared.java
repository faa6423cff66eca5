package io.vlmoperator.emoji;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;

/** Reads a prepared folder back, the way a user's program would. */
record Prepared(Path out) {
    static Prepared make(EmojiCatalog catalog, Path out, PrepareEmoji.Options options) throws IOException {
        PrepareEmoji.prepare(options, catalog);
        return new Prepared(out);
    }

    /** Members of all caption shards in order: name to bytes. */
    Map<String, byte[]> captionMembers() throws IOException {
        Map<String, byte[]> members = new LinkedHashMap<>();
        for (Path shard : files(out.resolve("captions"))) {
            try (TarArchiveInputStream tar = new TarArchiveInputStream(Files.newInputStream(shard))) {
                for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                    members.put(entry.getName(), tar.readAllBytes());
                }
            }
        }
        return members;
    }

    List<JsonNode> conversations() throws IOException {
        ObjectMapper json = new ObjectMapper();
        List<JsonNode> lines = new ArrayList<>();
        for (String line : Files.readAllLines(out.resolve("conversations.jsonl"))) {
            lines.add(json.readTree(line));
        }
        return lines;
    }

    /** Rows of a benchmark table by column name. */
    List<Map<String, String>> benchmark(String name) throws IOException {
        List<String> lines = Files.readAllLines(out.resolve("benchmark").resolve(name + ".tsv"));
        String[] columns = lines.getFirst().split("\t", -1);
        List<Map<String, String>> rows = new ArrayList<>();
        for (String line : lines.subList(1, lines.size())) {
            String[] cells = line.split("\t", -1);
            Map<String, String> row = new LinkedHashMap<>();
            for (int i = 0; i < columns.length; i++) {
                row.put(columns[i], cells[i]);
            }
            rows.add(row);
        }
        return rows;
    }

    /** Every picture that training sees: those of the shards and those of the conversations. */
    List<byte[]> trainingImages() throws IOException {
        List<byte[]> images = new ArrayList<>();
        captionMembers().forEach((name, bytes) -> {
            if (name.endsWith(".png")) {
                images.add(bytes);
            }
        });
        for (Path file : files(out.resolve("images"))) {
            images.add(Files.readAllBytes(file));
        }
        return images;
    }

    List<byte[]> benchmarkImages() throws IOException {
        List<byte[]> images = new ArrayList<>();
        for (String name : List.of("emoji-names", "emoji-same-category")) {
            for (Map<String, String> row : benchmark(name)) {
                images.add(Base64.getDecoder().decode(row.get("image")));
            }
        }
        return images;
    }

    /** The digest of every file, by path. */
    Map<String, String> digests() throws IOException {
        Map<String, String> digests = new TreeMap<>();
        for (Path file : files(out)) {
            digests.put(out.relativize(file).toString(), Digests.sha256(file));
        }
        return digests;
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> walk = Files.walk(folder)) {
            return walk.filter(Files::isRegularFile).sorted().toList();
        }
    }
}
