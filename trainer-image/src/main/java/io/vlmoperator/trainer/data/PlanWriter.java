package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.SQLException;
import org.duckdb.DuckDBAppender;

/** Collects rows and writes {@code plan.parquet}: row, position in it, sample; in this order. */
final class PlanWriter implements Packer.Rows, AutoCloseable {
    private final Duck duck;
    private final DuckDBAppender appender;
    private final MessageDigest identity;
    private ByteBuffer line = ByteBuffer.allocate(1 << 10);
    private int rows;

    /**
     * @param identity learns of every row
     */
    PlanWriter(Duck duck, MessageDigest identity) {
        this.duck = duck;
        this.identity = identity;
        try {
            duck.execute("CREATE TABLE plan (\"row\" INTEGER, position INTEGER, sample INTEGER)");
            appender = duck.connection().createAppender("main", "plan");
        } catch (SQLException e) {
            throw Duck.failed("preparing the plan", e);
        }
    }

    @Override
    public void row(int[] samples, int count) {
        if (line.capacity() < 12 * count) {
            line = ByteBuffer.allocate(24 * count);
        }
        line.clear();
        try {
            for (int position = 0; position < count; position++) {
                appender.beginRow();
                appender.append(rows);
                appender.append(position);
                appender.append(samples[position]);
                appender.endRow();
                line.putInt(rows).putInt(position).putInt(samples[position]);
            }
        } catch (SQLException e) {
            throw Duck.failed("writing the plan", e);
        }
        identity.update(line.array(), 0, line.position());
        rows++;
    }

    int rows() {
        return rows;
    }

    /** Writes the file and returns its digest. */
    String publish(Path file) throws IOException {
        Storage.publish(file, temporary -> {
            try {
                appender.flush();
                duck.execute("COPY (SELECT \"row\", position, sample::BIGINT AS sample FROM plan) TO "
                        + Duck.quote(temporary)
                        + " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)");
            } catch (SQLException e) {
                throw Duck.failed("writing " + file, e);
            }
        });
        return Digests.ofFile(file);
    }

    @Override
    public void close() {
        try {
            appender.close();
        } catch (SQLException e) {
            throw Duck.failed("writing the plan", e);
        }
    }
}
