package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Map;
import java.util.Optional;

/**
 * The scores of one shard on one scale: a Parquet file with a row per usable sample, in the index's order: key, uid, digest of the sample's
 * bytes, answer (as the model gave it) and score (NULL when the answer is no number). Scores belong to bytes and not to places: when the index is made
 * again, what was scored is taken over.
 */
final class ScoreFile {
    static final String FOLDER = "scores";
    private static final String FORMAT_VERSION = "1";
    private static final String COMPLETE = "index";

    private final Path file;
    private final Map<String, String> origin;

    /**
     * @param out the Dataset's folder
     * @param scorer digest of the filter model
     * @param indexName file name of the shard's index
     */
    ScoreFile(Path out, String scorer, Select.Metric metric, String indexName) {
        String name = indexName.replaceFirst("\\.parquet$", "") + "_" + metric + ".parquet";
        file = out.resolve(FOLDER)
                .resolve(Digests.short128(Digests.utf8(scorer)).substring(0, 16))
                .resolve(name);
        origin = Map.of("format_version", FORMAT_VERSION, "scorer", scorer, "metric", metric.name());
    }

    Path path() {
        return file;
    }

    /** Whether it holds scores of this model; a damaged file does not. */
    boolean isUsable(Duck duck) {
        return entries(duck).isPresent();
    }

    /** Whether every usable sample of this state of the index has an answer. */
    boolean isComplete(Duck duck, String indexDigest) {
        return entries(duck).map(e -> indexDigest.equals(e.get(COMPLETE))).orElse(false);
    }

    private Optional<Map<String, String>> entries(Duck duck) {
        return IndexFile.metadata(duck, file)
                .filter(e -> origin.entrySet().stream()
                        .allMatch(wanted -> wanted.getValue().equals(e.get(wanted.getKey()))));
    }

    /**
     * Publishes a query's rows.
     *
     * @param indexDigest of the index when all of its samples are scored; empty before
     */
    void publish(Duck duck, String query, String indexDigest) {
        Storage.createFolder(file.getParent());
        Map<String, String> entries = new java.util.TreeMap<>(origin);
        entries.put(COMPLETE, indexDigest);
        Storage.publish(file, temporary -> {
            try {
                duck.execute("COPY (" + query + ") TO " + Duck.quote(temporary)
                        + " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, KV_METADATA "
                        + IndexFile.metadata(entries) + ")");
            } catch (SQLException e) {
                throw Duck.failed("writing " + file, e);
            }
        });
    }

    /** A query of the scores, one row per digest: {@code digest}, {@code score}, {@code answer}. */
    String query() {
        return "SELECT digest, min(score) AS score, min(answer) AS answer FROM read_parquet(" + Duck.quote(file)
                + ") GROUP BY digest";
    }

    /**
     * Scores by place in the index.
     *
     * @param rows of the index
     * @return -1 where a sample has no readable score or is not used
     */
    short[] byOrdinal(Duck duck, Path index, int rows) throws IOException {
        short[] scores = new short[rows];
        java.util.Arrays.fill(scores, (short) -1);
        String sql = "SELECT i.ordinal, s.score FROM (SELECT ordinal, digest FROM read_parquet(" + Duck.quote(index)
                + ") WHERE status = 'ok') i JOIN (" + query() + ") s ON i.digest = s.digest WHERE s.score IS NOT NULL";
        try (var statement = duck.connection().createStatement();
                var found = statement.executeQuery(sql)) {
            while (found.next()) {
                scores[found.getInt(1)] = (short) found.getInt(2);
            }
        } catch (SQLException e) {
            throw Duck.failed("reading " + file, e);
        }
        return scores;
    }
}
