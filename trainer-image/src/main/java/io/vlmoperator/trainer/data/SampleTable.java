package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.Shard.Form;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The samples of a finished Dataset in memory, 52 bytes each: where they lie, how long they are, and its rows. Sample numbers count
 * all rows of all indexes.
 */
final class SampleTable implements RowOrder.Table, AutoCloseable {
    private static final int MAX_OPEN = 256;
    /** Threads that read indexes; a second one is worth its start from so many of them on. */
    private static final int READERS = 2;

    private static final int SHARDS_PER_READER = 8;

    private final DatasetManifest manifest;
    private final Form form;
    private final List<Path> paths = new ArrayList<>();
    private final List<Optional<Path>> images = new ArrayList<>();
    private final FileChannel[] channels;
    private final int[] firstOfShard;

    final int[] lengths;
    final int[] imageCounts;
    final long[] uids;
    private final long[] imageOffsets;
    private final int[] imageSizes;
    private final long[] textOffsets;
    private final int[] textSizes;
    private final long[] digests;
    /** First place in {@link #placed} of each row; behind the last row its length. */
    private final int[] rowStarts;
    /** Samples of all rows, one row after the other. */
    private final int[] placed;

    /** The bytes of one sample: its caption or its JSON object, and the image of a caption. */
    @SuppressWarnings("ArrayRecordComponent") // handed on at once
    record Bytes(byte[] text, Optional<byte[]> image) {}

    static SampleTable open(Path folder, Locations locations) {
        DatasetManifest manifest = DatasetManifest.read(folder);
        Path scratch;
        try {
            scratch = Files.createTempDirectory("vlm-data");
        } catch (IOException e) {
            throw TrainerException.storage("can't make a temporary folder: " + e, e);
        }
        try (Duck duck = Duck.streaming(scratch.resolve("spill"))) {
            return new SampleTable(manifest, folder, locations, duck);
        } catch (IOException e) {
            throw TrainerException.storage("can't read the Dataset in " + folder + ": " + e, e);
        } finally {
            Storage.delete(scratch.resolve("spill"));
            Storage.delete(scratch);
        }
    }

    private SampleTable(DatasetManifest manifest, Path folder, Locations locations, Duck duck) throws IOException {
        this.manifest = manifest;
        form = Form.valueOf(manifest.form());
        int shards = manifest.index().size();
        channels = new FileChannel[shards];
        firstOfShard = new int[shards + 1];
        for (int s = 0; s < shards; s++) {
            DatasetManifest.IndexEntry entry = manifest.index().get(s);
            firstOfShard[s + 1] = Math.addExact(firstOfShard[s], entry.rows());
            paths.add(locations.resolve(entry.shard()));
            images.add(entry.images().isEmpty() ? Optional.empty() : Optional.of(locations.resolve(entry.images())));
        }
        int total = firstOfShard[shards];
        lengths = new int[total];
        imageCounts = new int[total];
        uids = new long[total];
        imageOffsets = new long[total];
        imageSizes = new int[total];
        textOffsets = new long[total];
        textSizes = new int[total];
        digests = new long[total];
        int used = readIndexes(folder);
        if (form == Form.Conversations) {
            placed = new int[used];
            rowStarts = new int[used + 1];
            Arrays.setAll(rowStarts, i -> i);
            for (int sample = 0, i = 0; sample < total; sample++) {
                if (lengths[sample] > 0) {
                    placed[i++] = sample;
                }
            }
        } else {
            Path plan = folder.resolve(DatasetManifest.PLAN);
            requireDigest(plan, manifest.planDigest());
            placed = new int[Math.toIntExact(manifest.summary().samples())];
            rowStarts = new int[Math.toIntExact(manifest.summary().rows()) + 1];
            readPlan(duck, plan);
        }
    }

    /** Fills the columns from all indexes; returns the number of samples that are used. */
    private int readIndexes(Path folder) throws IOException {
        AtomicInteger next = new AtomicInteger();
        AtomicInteger used = new AtomicInteger();
        Callable<Void> reading = () -> {
            Path scratch = Files.createTempDirectory("vlm-data");
            try (Duck duck = Duck.streaming(scratch.resolve("spill"))) {
                for (int shard = next.getAndIncrement(); shard < channels.length; shard = next.getAndIncrement()) {
                    used.addAndGet(readIndex(duck, folder, shard));
                }
                return null;
            } finally {
                Storage.delete(scratch.resolve("spill"));
                Storage.delete(scratch);
            }
        };
        int readers = Math.max(1, Math.min(READERS, channels.length / SHARDS_PER_READER));
        try (ExecutorService threads = Executors.newFixedThreadPool(readers)) {
            List<Future<Void>> running = new ArrayList<>();
            for (int reader = 0; reader < readers; reader++) {
                running.add(threads.submit(reading));
            }
            for (Future<Void> reader : running) {
                reader.get();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while the indexes were read", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case IOException cause -> throw cause;
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                default -> throw new IllegalStateException(e.getCause());
            }
        }
        return used.get();
    }

    private int readIndex(Duck duck, Path folder, int shard) throws IOException {
        DatasetManifest.IndexEntry entry = manifest.index().get(shard);
        Path file = folder.resolve(DatasetManifest.INDEX).resolve(entry.file());
        requireDigest(file, entry.digest());
        int base = firstOfShard[shard];
        int end = firstOfShard[shard + 1];
        List<String> columns = List.of(
                "ordinal",
                "length",
                "images",
                "uid64",
                "image_offset",
                "image_size",
                "text_offset",
                "text_size",
                "digest64");
        int[] used = new int[1];
        IndexFile.read(duck, file, columns, "status = 'ok'", row -> {
            int sample = base + row.getInt(1);
            if (sample < base || sample >= end) {
                throw TrainerException.data(
                        file + " holds more samples than " + DatasetManifest.FILE + " says; make the Dataset again");
            }
            lengths[sample] = row.getInt(2);
            imageCounts[sample] = row.getInt(3);
            uids[sample] = row.getLong(4);
            imageOffsets[sample] = row.getLong(5);
            imageSizes[sample] = row.getInt(6);
            textOffsets[sample] = row.getLong(7);
            textSizes[sample] = row.getInt(8);
            digests[sample] = row.getLong(9);
            used[0]++;
        });
        return used[0];
    }

    private void readPlan(Duck duck, Path plan) {
        int at = 0;
        int row = -1;
        try (Statement statement = duck.connection().createStatement();
                ResultSet rows =
                        statement.executeQuery("SELECT \"row\", sample FROM read_parquet(" + Duck.quote(plan) + ")")) {
            while (rows.next()) {
                // Written in order; every row has at least one sample.
                if (rows.getInt(1) != row) {
                    if (rows.getInt(1) != row + 1 || row + 2 >= rowStarts.length) {
                        throw damaged(plan);
                    }
                    rowStarts[++row] = at;
                }
                if (at == placed.length) {
                    throw damaged(plan);
                }
                placed[at++] = Math.toIntExact(rows.getLong(2));
            }
        } catch (SQLException e) {
            throw Duck.failed("reading " + plan, e);
        }
        if (row + 1 != rowStarts.length - 1 || at != placed.length) {
            throw damaged(plan);
        }
        rowStarts[row + 1] = at;
    }

    private static TrainerException damaged(Path plan) {
        return TrainerException.data(plan + " does not fit " + DatasetManifest.FILE + "; make the Dataset again");
    }

    private static void requireDigest(Path file, String digest) throws IOException {
        if (!Files.isRegularFile(file) || !Digests.ofFile(file).equals(digest)) {
            throw TrainerException.data(file + " is missing or not the one that " + DatasetManifest.FILE
                    + " names; make the Dataset again");
        }
    }

    DatasetManifest manifest() {
        return manifest;
    }

    Form form() {
        return form;
    }

    @Override
    public int rows() {
        return rowStarts.length - 1;
    }

    /** The row of a place among all rows' samples. */
    int rowOf(int place) {
        int found = Arrays.binarySearch(rowStarts, place);
        return found >= 0 ? found : -found - 2;
    }

    /** First place of a row among all rows' samples. */
    int rowStart(int row) {
        return rowStarts[row];
    }

    /** The shard of a sample. */
    DatasetManifest.IndexEntry entry(int sample) {
        return manifest.index().get(shardOf(sample));
    }

    /** Number of a sample in its shard's index. */
    int ordinal(int sample) {
        return sample - firstOfShard[shardOf(sample)];
    }

    /** Samples of a row in order. */
    int[] row(int row) {
        return Arrays.copyOfRange(placed, rowStarts[row], rowStarts[row + 1]);
    }

    /** Tokens of a row, visual ones included. */
    @Override
    public int rowLength(int row) {
        int length = 0;
        for (int i = rowStarts[row]; i < rowStarts[row + 1]; i++) {
            length += lengths[placed[i]];
        }
        return length;
    }

    @Override
    public boolean hasImages(int row) {
        for (int i = rowStarts[row]; i < rowStarts[row + 1]; i++) {
            if (imageCounts[placed[i]] > 0) {
                return true;
            }
        }
        return false;
    }

    @Override
    public String digest() {
        return manifest.summary().digest();
    }

    Bytes read(int sample) throws IOException {
        int shard = shardOf(sample);
        FileChannel channel = channel(shard);
        try {
            byte[] text = Storage.read(channel, textOffsets[sample], textSizes[sample]);
            return form == Form.Captions
                    ? new Bytes(text, Optional.of(Storage.read(channel, imageOffsets[sample], imageSizes[sample])))
                    : new Bytes(text, Optional.empty());
        } finally {
            if (shard >= MAX_OPEN) {
                channel.close();
            }
        }
    }

    /** Other bytes of the file that a sample lies in. */
    byte[] readShard(int sample, long offset, int size) throws IOException {
        int shard = shardOf(sample);
        FileChannel channel = channel(shard);
        try {
            return Storage.read(channel, offset, size);
        } finally {
            if (shard >= MAX_OPEN) {
                channel.close();
            }
        }
    }

    /** The folder of the images of the sample's conversation. */
    Optional<Path> imageFolder(int sample) {
        return images.get(shardOf(sample));
    }

    /** Whether these are the bytes that were indexed. */
    boolean isIndexed(int sample, byte[]... parts) {
        return Digests.first64(Digests.short128(parts)) == digests[sample];
    }

    /** For messages. */
    String describe(int sample) {
        int shard = shardOf(sample);
        return "sample " + (sample - firstOfShard[shard]) + " of "
                + manifest.index().get(shard).shard();
    }

    private int shardOf(int sample) {
        int found = Arrays.binarySearch(firstOfShard, sample);
        int shard = found >= 0 ? found : -found - 2;
        while (firstOfShard[shard + 1] == sample) {
            shard++; // shards without a row
        }
        return shard;
    }

    private FileChannel channel(int shard) throws IOException {
        if (shard >= MAX_OPEN) {
            return openShard(shard);
        }
        synchronized (channels) {
            if (channels[shard] == null || !channels[shard].isOpen()) {
                channels[shard] = openShard(shard);
            }
            return channels[shard];
        }
    }

    private FileChannel openShard(int shard) throws IOException {
        Path path = paths.get(shard);
        if (!Files.isRegularFile(path)) {
            throw new TrainerException(
                    ExitCode.InvalidData,
                    path + " is gone; the Dataset reads its tars in place, so keep "
                            + manifest.index().get(shard).shard());
        }
        return FileChannel.open(path);
    }

    @Override
    public void close() {
        synchronized (channels) {
            for (FileChannel channel : channels) {
                try {
                    if (channel != null) {
                        channel.close();
                    }
                } catch (IOException e) {
                    throw TrainerException.storage("closing a shard: " + e, e);
                }
            }
        }
    }
}
