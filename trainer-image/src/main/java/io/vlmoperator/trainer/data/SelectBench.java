package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.duckdb.DuckDBAppender;

/** Selection by lists of made-up uids: what {@code make bench-select} measures. */
public final class SelectBench {
    /** Every so many uids of the first list stand in the second, and of the third; those of the third stand beside, not among, the second's. */
    private static final int EVERY_SECOND = 2;

    private static final int EVERY_SIXTEENTH = 16;
    private static final int QUESTIONS = 1 << 16;
    /** Prime, and no divisor of any count that is asked for: in this stride all uids come up, as samples of tars do not come sorted. */
    private static final long STRIDE = 15_485_863;

    private SelectBench() {}

    /**
     * What was selected.
     *
     * @param listed uids of all lists
     * @param asked uids that were looked up
     * @param kept of these
     * @param expected of these
     */
    public record Selected(long listed, long asked, long kept, long expected) {}

    /**
     * Writes a sorted list of so many uids as DataComp does, a second of every second one of them, and a Parquet file of every sixteenth in another
     * order, which DuckDB has to sort. Opens all, and asks for every uid of the first: those of {@code anyOf} the first and {@code not} the others.
     *
     * @param folder empty
     */
    public static Selected select(Path folder, long uids, DataBench.Progress progress) throws IOException {
        Files.createDirectories(folder);
        write(folder.resolve("all.npy"), uids, uids, 1);
        write(folder.resolve("half.npy"), Math.ceilDiv(uids, EVERY_SECOND), uids, EVERY_SECOND);
        long sixteenth = uids / EVERY_SIXTEENTH;
        table(folder.resolve("sixteenth.parquet"), sixteenth, uids);
        progress.done("making the lists");
        Select select =
                new Select(List.of(rule("all.npy")), null, List.of(rule("half.npy"), rule("sixteenth.parquet")));
        Locations locations = Locations.of(Map.of("d", folder));
        long kept = 0;
        try (Selection selection = Selection.open(select, locations, folder.resolve("scratch"), Scoring.none(folder))) {
            progress.done("reading and sorting the lists");
            String[] questions = new String[(int) Math.min(QUESTIONS, uids)];
            for (long from = 0; from < uids; from += questions.length) {
                int count = (int) Math.min(questions.length, uids - from);
                for (int n = 0; n < count; n++) {
                    questions[n] = uid(Math.floorMod((from + n) * STRIDE, uids), uids);
                }
                progress.done("making the questions");
                for (int n = 0; n < count; n++) {
                    kept += selection.copies(questions[n], 0);
                }
                progress.done("looking up");
            }
        }
        long half = Math.ceilDiv(uids, EVERY_SECOND);
        return new Selected(uids + half + sixteenth, uids, kept, uids - half - sixteenth);
    }

    private static Select.Rule rule(String file) {
        return new Select.Rule(new Select.UidList("pvc://d/" + file), null);
    }

    /** The n-th of so many sorted uids: spread over all 128 bits with a jitter, as hashes are. */
    private static String uid(long n, long of) {
        return HexFormat.of().toHexDigits(high(n, of)) + HexFormat.of().toHexDigits(Mix.of(n));
    }

    private static long high(long n, long of) {
        long stride = Long.divideUnsigned(-1L, of);
        return n * stride + Long.remainderUnsigned(Mix.of(n, 1), stride);
    }

    private static void write(Path file, long count, long of, int every) throws IOException {
        String dictionary =
                "{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (" + count + ",), }";
        byte[] header = (dictionary + " ".repeat(117 - dictionary.length()) + "\n").getBytes(StandardCharsets.UTF_8);
        ByteBuffer buffer = ByteBuffer.allocate(16 << 12).order(ByteOrder.LITTLE_ENDIAN);
        try (OutputStream out = Files.newOutputStream(file)) {
            out.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (byte) header.length, 0});
            out.write(header);
            for (long n = 0; n < count; n++) {
                buffer.putLong(high(n * every, of)).putLong(Mix.of(n * every));
                if (!buffer.hasRemaining() || n == count - 1) {
                    out.write(buffer.array(), 0, buffer.position());
                    buffer.clear();
                }
            }
        }
    }

    private static void table(Path file, long count, long of) {
        try (Duck duck = Duck.open(file.resolveSibling("spill"))) {
            duck.execute("CREATE TABLE uids (uid VARCHAR)");
            try (DuckDBAppender appender = duck.connection().createAppender("main", "uids")) {
                for (long n = 0; n < count; n++) {
                    appender.beginRow();
                    appender.append(uid(Math.floorMod(n * STRIDE, count) * EVERY_SIXTEENTH + 1, of));
                    appender.endRow();
                }
            }
            duck.execute("COPY uids TO " + Duck.quote(file) + " (FORMAT parquet)");
        } catch (SQLException e) {
            throw Duck.failed("making a list of uids", e);
        }
    }
}
