package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.storage.Buckets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import org.duckdb.DuckDBConnection;

/** DuckDB in memory with a bound, for reading and writing Parquet. It never fetches extensions. */
final class Duck implements AutoCloseable {
    private final DuckDBConnection connection;

    private Duck(DuckDBConnection connection) {
        this.connection = connection;
    }

    /**
     * The answer to a question is formed whole before its first row is there.
     *
     * @param spill folder for what does not fit into memory
     */
    static Duck open(Path spill) {
        return open(spill, false);
    }

    /**
     * Rows of an answer are formed as they are asked for, so that an answer of any length takes little memory. One question at a time: the
     * next one ends the rows of the one before.
     *
     * @param spill folder for what does not fit into memory
     */
    static Duck streaming(Path spill) {
        return open(spill, true);
    }

    private static Duck open(Path spill, boolean streaming) {
        Properties settings = new Properties();
        settings.setProperty("jdbc_stream_results", Boolean.toString(streaming));
        settings.setProperty("memory_limit", "512MB");
        settings.setProperty("threads", "2");
        settings.setProperty("autoinstall_known_extensions", "false");
        settings.setProperty("autoload_known_extensions", "false");
        settings.setProperty("temp_directory", Buckets.local(spill).toString());
        try {
            Connection connection = DriverManager.getConnection("jdbc:duckdb:", settings);
            DuckLibrary.unlink();
            return new Duck((DuckDBConnection) connection);
        } catch (SQLException e) {
            throw new TrainerException(ExitCode.InternalError, "DuckDB does not start: " + e.getMessage(), e);
        }
    }

    DuckDBConnection connection() {
        return connection;
    }

    void execute(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** A literal. */
    static String quote(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    /** The name of a file, or of a copy on this machine of what lies in object storage. */
    static String quote(Path path) {
        return quote(Buckets.local(path).toString());
    }

    /** Disk and file errors are the storage's; others are ours. */
    static TrainerException failed(String doing, SQLException e) {
        String message = String.valueOf(e.getMessage());
        boolean storage =
                message.contains("IO Error") || message.contains("No space left") || message.contains("Cannot open");
        String line = doing + ": " + message.lines().findFirst().orElse("");
        return storage ? TrainerException.storage(line, e) : new TrainerException(ExitCode.InternalError, line, e);
    }

    @Override
    public void close() {
        try (Connection closing = connection) {
            if (closing.isClosed()) {
                return;
            }
        } catch (SQLException e) {
            throw failed("closing DuckDB", e);
        }
    }
}
