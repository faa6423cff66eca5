package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.duckdb.DuckDBAppender;

/** The Parquet index of one shard. */
final class IndexFile {
    static final String FORMAT_VERSION = "3";

    private static final String COLUMNS = """
            ordinal INTEGER, uid VARCHAR, key VARCHAR, image_offset BIGINT, image_size INTEGER, image_type VARCHAR, width INTEGER, \
            height INTEGER, text_offset BIGINT, text_size INTEGER, json_offset BIGINT, json_size INTEGER, text_tokens INTEGER, \
            images INTEGER, length INTEGER, bytes BIGINT, digest VARCHAR, image_hash BIGINT, uid64 BIGINT, digest64 BIGINT, status VARCHAR, reason VARCHAR, detail VARCHAR, \
            special_token_literals INTEGER, image_literals INTEGER""";

    private IndexFile() {}

    /**
     * What the index was made of; an index is made again when any of it differs.
     *
     * @param spec digest of all that decides about samples: rejects, lengths, tokenizer, format
     * @param bytes size of the shard
     * @param modified its time of change, milliseconds
     */
    record Origin(String spec, String shard, long bytes, long modified) {
        static Origin of(String spec, Shard shard) throws IOException {
            return new Origin(
                    spec,
                    shard.location(),
                    Files.size(shard.path()),
                    Files.getLastModifiedTime(shard.path()).toMillis());
        }

        Map<String, String> entries() {
            return Map.of(
                    "format_version",
                    FORMAT_VERSION,
                    "spec",
                    spec,
                    "shard",
                    shard,
                    "shard_bytes",
                    Long.toString(bytes),
                    "shard_modified",
                    Long.toString(modified));
        }
    }

    /** Collects rows in DuckDB's memory and writes them at the end. */
    static final class Writer implements AutoCloseable {
        private final Duck duck;
        private final DuckDBAppender appender;
        private int rows;

        /**
         * @param duck in which nobody else writes an index; used until {@link #close}
         */
        Writer(Duck duck) {
            this.duck = duck;
            try {
                duck.execute("CREATE OR REPLACE TABLE samples (" + COLUMNS + ")");
                appender = duck.connection().createAppender("main", "samples");
            } catch (SQLException e) {
                throw Duck.failed("preparing an index", e);
            }
        }

        void add(IndexRow row) {
            try {
                appender.beginRow();
                appender.append(rows++);
                appender.append(row.uid());
                appender.append(row.key());
                appender.append(row.imageOffset());
                appender.append(row.imageSize());
                appender.append(row.imageType());
                appender.append(row.width());
                appender.append(row.height());
                appender.append(row.textOffset());
                appender.append(row.textSize());
                appender.append(row.jsonOffset());
                appender.append(row.jsonSize());
                appender.append(row.textTokens());
                appender.append(row.images());
                appender.append(row.length());
                appender.append(row.bytes());
                appender.append(row.digest());
                appender.append(row.imageHash());
                // As numbers, too: millions of texts are slow to hand over.
                appender.append(Digests.hash64(Digests.utf8(row.uid())));
                appender.append(row.used() ? Digests.first64(row.digest()) : 0);
                appender.append(row.used() ? "ok" : "rejected");
                appender.append(row.reason());
                appender.append(row.detail());
                appender.append(row.specialTokenLiterals());
                appender.append(row.imageLiterals());
                appender.endRow();
            } catch (SQLException e) {
                throw Duck.failed("adding to an index", e);
            }
        }

        int rows() {
            return rows;
        }

        void publish(Path file, Origin origin) {
            try {
                appender.flush();
            } catch (SQLException e) {
                throw Duck.failed("adding to an index", e);
            }
            String metadata = metadata(origin.entries());
            Storage.publish(file, temporary -> {
                try {
                    duck.execute("COPY samples TO " + Duck.quote(temporary)
                            + " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, KV_METADATA " + metadata + ")");
                } catch (SQLException e) {
                    throw Duck.failed("writing " + file, e);
                }
            });
        }

        @Override
        public void close() {
            try {
                appender.close();
                duck.execute("DROP TABLE samples");
            } catch (SQLException e) {
                throw Duck.failed("closing an index", e);
            }
        }
    }

    /** Whether the file is there and made of exactly this. A damaged file is not. */
    static boolean isOf(Duck duck, Path file, Origin origin) {
        return metadata(duck, file).map(m -> m.equals(origin.entries())).orElse(false);
    }

    /** DuckDB's literal of a file's entries. */
    static String metadata(Map<String, String> entries) {
        return entries.entrySet().stream()
                .sorted(Map.Entry.comparingByKey())
                .map(e -> e.getKey() + ": " + Duck.quote(e.getValue()))
                .collect(Collectors.joining(", ", "{", "}"));
    }

    /** Entries of a Parquet file; empty when there is none, or a damaged one. */
    static Optional<Map<String, String>> metadata(Duck duck, Path file) {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        Map<String, String> found = new HashMap<>();
        try (Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery(
                        "SELECT decode(key), decode(value) FROM parquet_kv_metadata(" + Duck.quote(file) + ")")) {
            while (rows.next()) {
                if (!rows.getString(1).equals("ARROW:schema")) {
                    found.put(rows.getString(1), rows.getString(2));
                }
            }
        } catch (SQLException e) {
            return Optional.empty(); // no Parquet file, or a damaged one: it is made again
        }
        return Optional.of(found);
    }

    /** Receives one row of a query. */
    interface RowReader {
        void row(ResultSet row) throws SQLException, IOException;
    }

    /** Rows of an index in order: DuckDB keeps the order of a file, and rows are written in order. */
    static void read(Duck duck, Path file, List<String> columns, String where, RowReader reader) throws IOException {
        String sql = "SELECT " + String.join(", ", columns) + " FROM read_parquet(" + Duck.quote(file) + ")"
                + (where.isEmpty() ? "" : " WHERE " + where);
        try (Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                reader.row(rows);
            }
        } catch (SQLException e) {
            throw Duck.failed("reading " + file, e);
        }
    }
}
