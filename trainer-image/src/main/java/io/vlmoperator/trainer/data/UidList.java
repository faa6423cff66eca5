package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Locale;
import org.duckdb.DuckDBAppender;

/**
 * The uids of one file, sorted, as a mapped file of 16 bytes each and a table of where each stretch of the numbers begins, at most one byte more: a
 * hundred million cost no heap, and the operating system keeps what is looked at. What comes sorted is only checked and copied; the rest is sorted by DuckDB, which spills to disk.
 */
final class UidList implements AutoCloseable {
    /**
     * At most so many uids share their first bits on average, where they are spread as hashes are: few enough to lie in a few lines of the
     * processor's cache.
     */
    private static final int PER_BUCKET = 16;

    private final Path sorted;
    private final Arena arena;
    private final MemorySegment uids;
    private final long size;
    /** Bits of the upper half behind those that number the buckets. */
    private final int shift;
    /** First place of each bucket, and the size behind the last. */
    private final MemorySegment starts;

    @SuppressWarnings("MustBeClosedChecker") // close() closes it
    private UidList(Path sorted) throws IOException {
        this.sorted = sorted;
        size = Files.size(sorted) / 16;
        arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(sorted)) {
            uids = channel.map(MapMode.READ_ONLY, 0, 16 * size, arena);
            int bits = Math.max(1, 64 - Long.numberOfLeadingZeros(size / PER_BUCKET));
            shift = 64 - bits;
            starts = arena.allocate(ValueLayout.JAVA_LONG, (1L << bits) + 1);
            fillStarts(1L << bits);
        } catch (IOException | RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private void fillStarts(long buckets) {
        long bucket = 0;
        for (long place = 0; place < size; place++) {
            for (long last = high(place) >>> shift; bucket <= last; bucket++) {
                starts.setAtIndex(ValueLayout.JAVA_LONG, bucket, place);
            }
        }
        for (; bucket <= buckets; bucket++) {
            starts.setAtIndex(ValueLayout.JAVA_LONG, bucket, size);
        }
    }

    /**
     * @param file .npy, .parquet (column {@code uid}) or .txt (one uid a line)
     * @param scratch becomes the sorted file; deleted by {@link #close}
     * @throws TrainerException InvalidData when it is no list of uids; StorageFailed
     */
    static UidList open(Path file, Path scratch) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        try {
            Storage.createFolder(scratch.getParent());
            if (name.endsWith(".npy")) {
                numpy(file, scratch);
            } else if (name.endsWith(".parquet")) {
                table(file, "read_parquet(" + Duck.quote(file) + ")", scratch);
            } else if (name.endsWith(".txt")) {
                table(
                        file,
                        "(SELECT coalesce(uid, '') AS uid FROM read_csv(" + Duck.quote(file)
                                + ", header = false, columns = {'uid': 'VARCHAR'}, delim = '\t',"
                                + " quote = '', escape = '', comment = ''))",
                        scratch);
            } else {
                throw TrainerException.data(
                        "the uid list " + file + " has an unknown ending; .npy, .parquet and .txt are read");
            }
            return new UidList(scratch);
        } catch (IOException e) {
            throw TrainerException.storage("reading the uid list " + file + ": " + e.getMessage(), e);
        }
    }

    private static void numpy(Path file, Path scratch) throws IOException {
        boolean[] inOrder = {true};
        long[] before = new long[2];
        try (Output out = new Output(scratch)) {
            NumpyUids.read(file, (high, low) -> {
                inOrder[0] &= compare(before[0], before[1], high, low) <= 0;
                before[0] = high;
                before[1] = low;
                out.write(high, low);
            });
        }
        if (inOrder[0]) {
            return;
        }
        try (Duck duck = Duck.streaming(spill(scratch))) {
            duck.execute("CREATE TABLE uids (high BIGINT, low BIGINT)");
            try (DuckDBAppender appender = duck.connection().createAppender("main", "uids")) {
                NumpyUids.read(file, (high, low) -> {
                    try {
                        appender.beginRow();
                        appender.append(high ^ Long.MIN_VALUE);
                        appender.append(low ^ Long.MIN_VALUE);
                        appender.endRow();
                    } catch (SQLException e) {
                        throw Duck.failed("sorting " + file, e);
                    }
                });
            }
            write(duck, "SELECT high, low FROM uids ORDER BY 1, 2", scratch);
        } catch (SQLException e) {
            throw Duck.failed("sorting " + file, e);
        }
    }

    private static void table(Path file, String from, Path scratch) throws IOException {
        try (Duck duck = Duck.streaming(spill(scratch))) {
            try (Statement statement = duck.connection().createStatement();
                    ResultSet columns = statement.executeQuery("DESCRIBE SELECT * FROM " + from)) {
                String type = "";
                while (columns.next()) {
                    type = columns.getString(1).equals("uid") ? columns.getString(2) : type;
                }
                if (!type.equals("VARCHAR")) {
                    throw TrainerException.data("the uid list " + file + " can't be used: "
                            + (type.isEmpty() ? "it has no column uid" : "its column uid is of type " + type)
                            + "; meant is text of 32 hexadecimal digits");
                }
            } catch (SQLException e) {
                throw unreadable(file, e);
            }
            String good = "regexp_full_match(trim(uid), '[0-9a-fA-F]{32}')";
            try (Statement statement = duck.connection().createStatement();
                    ResultSet bad = statement.executeQuery("SELECT uid FROM " + from + " WHERE (uid IS NULL OR NOT "
                            + good + ") AND coalesce(trim(uid), 'NULL') <> '' LIMIT 1")) {
                if (bad.next()) {
                    String uid = bad.getString(1);
                    throw TrainerException.data("the uid list " + file + " can't be used: it holds "
                            + (uid == null ? "NULL" : "'" + IndexRow.cut(uid) + "'")
                            + ", which is no uid of 32 hexadecimal digits");
                }
            } catch (SQLException e) {
                throw unreadable(file, e);
            }
            // Unsigned numbers, moved so that they are ordered as signed ones.
            String half = "(('0x' || substr(trim(uid), %d, 16))::UBIGINT::HUGEINT - 9223372036854775808)::BIGINT";
            write(
                    duck,
                    "SELECT " + half.formatted(1) + ", " + half.formatted(17) + " FROM " + from + " WHERE " + good
                            + " ORDER BY 1, 2",
                    scratch);
        }
    }

    private static void write(Duck duck, String query, Path scratch) throws IOException {
        try (Output out = new Output(scratch);
                Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            while (rows.next()) {
                out.write(rows.getLong(1) ^ Long.MIN_VALUE, rows.getLong(2) ^ Long.MIN_VALUE);
            }
        } catch (SQLException e) {
            throw Duck.failed("sorting uids", e);
        }
    }

    private static TrainerException unreadable(Path file, SQLException e) {
        return TrainerException.data("the uid list " + file + " can't be read: "
                + String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    }

    private static Path spill(Path scratch) {
        return scratch.resolveSibling(scratch.getFileName() + ".spill");
    }

    /** The sorted file: both halves of each uid, the upper one first, in this machine's order of bytes. */
    private static final class Output implements AutoCloseable {
        private final OutputStream file;
        private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.nativeOrder());

        @SuppressWarnings("MustBeClosedChecker") // close() closes it
        Output(Path path) throws IOException {
            file = Files.newOutputStream(path);
        }

        void write(long high, long low) throws IOException {
            if (!buffer.hasRemaining()) {
                flush();
            }
            buffer.putLong(high).putLong(low);
        }

        private void flush() throws IOException {
            file.write(buffer.array(), 0, buffer.position());
            buffer.clear();
        }

        @Override
        public void close() throws IOException {
            try (file) {
                flush();
            }
        }
    }

    private static int compare(long highA, long lowA, long highB, long lowB) {
        int high = Long.compareUnsigned(highA, highB);
        return high != 0 ? high : Long.compareUnsigned(lowA, lowB);
    }

    /** Number of uids, repeated ones counted each time. */
    long size() {
        return size;
    }

    /** How often the uid is in the list; counted up to one more than {@link Selection#MAX_COPIES}. */
    long copies(long high, long low) {
        long from = lowerBound(high, low);
        long to = from;
        while (to < size && to - from <= Selection.MAX_COPIES && high(to) == high && low(to) == low) {
            to++;
        }
        return to - from;
    }

    /** First place that holds no smaller uid. */
    private long lowerBound(long high, long low) {
        long bucket = high >>> shift;
        long from = start(bucket);
        long to = start(bucket + 1);
        while (from < to) {
            long middle = (from + to) >>> 1;
            if (compare(high(middle), low(middle), high, low) < 0) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from;
    }

    private long start(long bucket) {
        return starts.getAtIndex(ValueLayout.JAVA_LONG, bucket);
    }

    private long high(long place) {
        return uids.get(ValueLayout.JAVA_LONG, 16 * place);
    }

    private long low(long place) {
        return uids.get(ValueLayout.JAVA_LONG, 16 * place + 8);
    }

    @Override
    public void close() {
        arena.close();
        Storage.delete(sorted);
        Storage.delete(spill(sorted));
    }
}
