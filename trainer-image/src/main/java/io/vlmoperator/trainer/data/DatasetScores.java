package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.Shard.Form;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * Scores the samples of a finished Dataset, before anyone decides on a threshold: the files lie where {@code select} looks for them, so a Dataset
 * that is made again at the same place with a threshold asks nothing again.
 */
public final class DatasetScores {
    private static final long PUBLISH_NANOS = 60_000_000_000L;

    private DatasetScores() {}

    /** The part of a process. */
    public record Part(int index, int count) {
        public Part {
            if (count < 1 || index < 0 || index >= count) {
                throw new IllegalArgumentException("part " + index + " of " + count);
            }
        }
    }

    /**
     * Asks about what has no answer yet.
     *
     * @param folder of the Dataset
     * @param part shards {@code index}, {@code index + count}, ... are this process's
     * @param threads that decode
     * @throws TrainerException InvalidConfiguration when the folder is no Dataset of captions; InvalidData; StorageFailed
     */
    public static void score(
            Path folder,
            Locations locations,
            FilterModel model,
            List<Select.Metric> metrics,
            Part part,
            int threads,
            Consumer<String> log) {
        DatasetManifest manifest = DatasetManifest.read(folder);
        if (!manifest.form().equals(Form.Captions.name())) {
            throw TrainerException.configuration(
                    folder + " is a Dataset of " + manifest.form() + "; only captions are scored");
        }
        List<DatasetManifest.IndexEntry> shards = manifest.index();
        ShardScorer.Tally all = ShardScorer.Tally.NONE;
        Path spill = folder.resolve(DatasetManifest.INDEX).resolve(".spill-score-" + part.index());
        try (Duck duck = Duck.open(spill)) {
            for (int s = part.index(); s < shards.size(); s += part.count()) {
                DatasetManifest.IndexEntry shard = shards.get(s);
                Path index = folder.resolve(DatasetManifest.INDEX).resolve(shard.file());
                Path tar = locations.resolve(shard.shard());
                if (!Files.isRegularFile(tar)) {
                    throw TrainerException.data(
                            tar + " is gone; the samples are read in place, so keep " + shard.shard());
                }
                for (Select.Metric metric : metrics) {
                    try (ShardScorer scorer =
                            new ShardScorer(model, metric, folder, threads, PUBLISH_NANOS, () -> {})) {
                        ShardScorer.Tally done = scorer.score(duck, tar, shard.shard(), index, () -> {});
                        all = all.plus(done);
                        log.accept(shard.shard() + ", " + metric + ": "
                                + (done.asked() == 0 ? "scored before" : done.line()) + "; "
                                + summary(duck, new ScoreFile(folder, model.digest(), metric, shard.file())));
                    }
                }
            }
        }
        log.accept("in all: " + all.line());
    }

    private static String summary(Duck duck, ScoreFile file) {
        try (Statement statement = duck.connection().createStatement();
                ResultSet row = statement.executeQuery(
                        "SELECT count(score), coalesce(median(score), 0), count(*) FILTER (score >= 85) FROM read_parquet("
                                + Duck.quote(file.path()) + ")")) {
            row.next();
            return String.format(
                    Locale.ROOT,
                    "%d scores, median %.0f, %d of at least 85, in %s",
                    row.getLong(1),
                    row.getDouble(2),
                    row.getLong(3),
                    file.path());
        } catch (SQLException e) {
            throw Duck.failed("reading " + file.path(), e);
        }
    }
}
