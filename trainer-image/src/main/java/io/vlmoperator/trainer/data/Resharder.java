package io.vlmoperator.trainer.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes the kept samples of a finished Dataset of captions as new tars of at most {@value #MAX_SAMPLES}, in the order of its rows; a row
 * lies in one tar. Beside each tar stands {@code NAME_stats.json}, published last: a tar with fitting statistics is not written again.
 * The key of a sample is its uid, {@code -} and the number of its copy.
 */
final class Resharder {
    static final int MAX_SAMPLES = 10_000;
    static final String FOLDER = "shards";
    /** Indexes whose places of .json members are held. */
    private static final int HELD = 64;

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path out;
    private final Path folder;
    private final Locations locations;
    /** Copies that were written of a sample, by its number. */
    private final Map<Integer, Integer> copies = new HashMap<>();

    private final Map<String, Names> held = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Names> eldest) {
            return size() > HELD;
        }
    };

    /** The .json of a sample that has none: a record, because the order of a map's entries differs from process to process. */
    private record Identity(String key, String uid) {}

    @SuppressWarnings("ArrayRecordComponent") // thousands of numbers, read once
    private record Names(String[] uids, long[] jsonOffsets, int[] jsonSizes) {}

    /**
     * What stands in {@code NAME_stats.json}.
     *
     * @param dataset digest of the Dataset that the tar was made of
     * @param digest of the tar
     */
    record Stats(
            String dataset, String digest, long bytes, int samples, long images, long tokens, int firstRow, int rows) {}

    /**
     * @param out folder of the finished Dataset
     */
    Resharder(Path out, Locations locations) {
        this.out = out;
        this.folder = out.resolve(FOLDER);
        this.locations = locations;
    }

    /**
     * Writes what is missing and deletes tars that are not of this Dataset.
     *
     * @param alive told of every row of the plan
     */
    void write(Runnable alive) {
        Storage.createFolder(folder);
        try (SampleTable table = SampleTable.open(out, locations);
                Duck duck = Duck.open(folder.resolve(".spill"))) {
            int number = 0;
            for (int row = 0; row < table.rows(); number++) {
                int first = row;
                int samples = 0;
                while (row < table.rows() && (row == first || samples + table.row(row).length <= MAX_SAMPLES)) {
                    samples += table.row(row++).length;
                }
                shard(table, duck, "%08d".formatted(number), first, row, samples, alive);
            }
            deleteFrom(number);
        } catch (IOException e) {
            throw TrainerException.storage("writing shards to " + folder + ": " + e.getMessage(), e);
        }
    }

    private void shard(SampleTable table, Duck duck, String name, int first, int end, int samples, Runnable alive)
            throws IOException {
        String dataset = table.manifest().summary().digest();
        Path tar = folder.resolve(name + ".tar");
        Path statsFile = folder.resolve(name + "_stats.json");
        Storage.deleteTemporaries(folder, tar.getFileName().toString());
        Storage.deleteTemporaries(folder, statsFile.getFileName().toString());
        boolean written = isWritten(tar, statsFile, dataset, first, end);
        if (!written) {
            Storage.delete(statsFile);
        }
        long[] tokens = new long[1];
        long[] images = new long[1];
        Storage.Writer writer = temporary -> {
            try (OutputStream file = new BufferedOutputStream(Files.newOutputStream(temporary), 1 << 16);
                    TarWriter out = new TarWriter(file)) {
                for (int row = first; row < end; row++) {
                    alive.run();
                    for (int sample : table.row(row)) {
                        sample(table, duck, sample, out);
                        tokens[0] += table.lengths[sample];
                        images[0] += table.imageCounts[sample];
                    }
                }
            }
        };
        if (written) {
            for (int row = first; row < end; row++) {
                for (int sample : table.row(row)) {
                    copies.merge(sample, 1, Integer::sum); // so that copies in later tars have other keys
                }
            }
            return;
        }
        Storage.publish(tar, writer);
        Stats stats = new Stats(
                dataset, Digests.ofFile(tar), Files.size(tar), samples, images[0], tokens[0], first, end - first);
        Storage.publish(
                statsFile,
                temporary -> JSON.writerWithDefaultPrettyPrinter()
                        .writeValue(Buckets.local(temporary).toFile(), stats));
    }

    private static boolean isWritten(Path tar, Path statsFile, String dataset, int first, int end) throws IOException {
        if (!Files.isRegularFile(tar) || !Files.isRegularFile(statsFile)) {
            return false;
        }
        try {
            Stats stats = JSON.readValue(Files.readAllBytes(statsFile), Stats.class);
            return dataset.equals(stats.dataset())
                    && stats.bytes() == Files.size(tar)
                    && stats.firstRow() == first
                    && stats.rows() == end - first;
        } catch (JsonProcessingException e) {
            return false; // of another version, or damaged: written again
        }
    }

    private void sample(SampleTable table, Duck duck, int sample, TarWriter tar) throws IOException {
        SampleTable.Bytes bytes = table.read(sample);
        byte[] image = bytes.image().orElseThrow();
        if (!table.isIndexed(sample, bytes.text(), image)) {
            throw TrainerException.data(
                    table.describe(sample) + " changed since it was indexed; make the Dataset again");
        }
        DatasetManifest.IndexEntry entry = table.entry(sample);
        Names names = held.get(entry.file());
        if (names == null) {
            names = names(duck, entry);
            held.put(entry.file(), names);
        }
        int ordinal = table.ordinal(sample);
        String uid = names.uids[ordinal];
        String stem = uid.matches("[A-Za-z0-9_-]{1,64}") ? uid : Digests.short128(Digests.utf8(uid));
        String key = stem + "-" + (copies.merge(sample, 1, Integer::sum) - 1);
        String type;
        try {
            type = SampleRules.imageType(image);
        } catch (RejectedException e) {
            throw TrainerException.data(table.describe(sample) + ": " + e.getMessage());
        }
        tar.file(key + "." + (type.equals("jpeg") ? "jpg" : type), image);
        tar.file(key + ".txt", bytes.text());
        tar.file(
                key + ".json",
                names.jsonSizes[ordinal] > 0
                        ? table.readShard(sample, names.jsonOffsets[ordinal], names.jsonSizes[ordinal])
                        : JSON.writeValueAsBytes(new Identity(key, uid)));
    }

    private Names names(Duck duck, DatasetManifest.IndexEntry entry) throws IOException {
        Names names = new Names(new String[entry.rows()], new long[entry.rows()], new int[entry.rows()]);
        IndexFile.read(
                duck,
                out.resolve(DatasetManifest.INDEX).resolve(entry.file()),
                List.of("ordinal", "uid", "json_offset", "json_size"),
                "status = 'ok'",
                row -> {
                    int ordinal = row.getInt(1);
                    names.uids[ordinal] = row.getString(2);
                    names.jsonOffsets[ordinal] = row.getLong(3);
                    names.jsonSizes[ordinal] = row.getInt(4);
                });
        return names;
    }

    private void deleteFrom(int number) throws IOException {
        List<Path> old = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "[0-9]*")) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (name.matches("\\d{8}(\\.tar|_stats\\.json)") && Integer.parseInt(name.substring(0, 8)) >= number) {
                    old.add(file);
                }
            }
        }
        old.forEach(Storage::delete);
    }
}
