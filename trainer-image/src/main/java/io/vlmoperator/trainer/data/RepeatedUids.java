package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.TrainerException;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Finds samples whose uid stands in an earlier place. Eight bytes a sample are sorted; only the uids of which 64 bits are the same are
 * compared as text.
 */
final class RepeatedUids {
    /** So many files in one query. */
    private static final int BATCH = 500;

    private RepeatedUids() {}

    /**
     * @param files indexes in order
     * @return numbers of samples, which count all rows of all indexes
     * @throws TrainerException InvalidConfiguration when there are more rows than numbers
     */
    static BitSet find(Duck duck, List<Path> files) {
        try {
            long[] hashes = new long[1 << 16];
            int count = 0;
            for (int from = 0; from < files.size(); from += BATCH) {
                String batch = files.subList(from, Math.min(files.size(), from + BATCH)).stream()
                        .map(Duck::quote)
                        .collect(Collectors.joining(", ", "[", "]"));
                try (Statement statement = duck.connection().createStatement();
                        ResultSet rows = statement.executeQuery(
                                "SELECT uid64 FROM read_parquet(" + batch + ") WHERE status = 'ok'")) {
                    while (rows.next()) {
                        if (count == hashes.length) {
                            hashes = Arrays.copyOf(hashes, larger(count));
                        }
                        hashes[count++] = rows.getLong(1);
                    }
                }
            }
            Arrays.sort(hashes, 0, count);
            LongSet twice = new LongSet();
            for (int i = 1; i < count; i++) {
                if (hashes[i] == hashes[i - 1]) {
                    twice.add(hashes[i]);
                }
            }
            return twice.size() == 0 ? new BitSet() : compare(duck, files, twice);
        } catch (SQLException e) {
            throw Duck.failed("looking for repeated uids", e);
        }
    }

    private static int larger(int count) {
        if (count > Integer.MAX_VALUE / 2) {
            throw TrainerException.configuration("more than 1,000,000,000 samples in one Dataset; split it");
        }
        return count + (count >> 1);
    }

    private static BitSet compare(Duck duck, List<Path> files, LongSet twice) throws SQLException {
        duck.execute("CREATE OR REPLACE TEMP TABLE twice (hash BIGINT)");
        try (var appender = duck.connection().createAppender("temp", "main", "twice")) {
            twice.forEach(hash -> {
                try {
                    appender.beginRow();
                    appender.append(hash);
                    appender.endRow();
                } catch (SQLException e) {
                    throw Duck.failed("looking for repeated uids", e);
                }
            });
        }
        duck.execute("CREATE OR REPLACE TEMP TABLE candidates (sample BIGINT, uid VARCHAR)");
        long base = 0;
        for (Path file : files) {
            String from = " FROM read_parquet(" + Duck.quote(file) + ")";
            duck.execute("INSERT INTO candidates SELECT " + base + " + ordinal, uid" + from
                    + " WHERE status = 'ok' AND uid64 IN (SELECT hash FROM twice)");
            try (Statement statement = duck.connection().createStatement();
                    ResultSet count = statement.executeQuery("SELECT count(*)" + from)) {
                count.next();
                base += count.getLong(1);
            }
        }
        BitSet repeated = new BitSet();
        try (Statement statement = duck.connection().createStatement();
                ResultSet found = statement.executeQuery("SELECT sample FROM candidates"
                        + " QUALIFY row_number() OVER (PARTITION BY uid ORDER BY sample) > 1")) {
            while (found.next()) {
                repeated.set(Math.toIntExact(found.getLong(1)));
            }
        }
        duck.execute("DROP TABLE candidates");
        duck.execute("DROP TABLE twice");
        return repeated;
    }
}
