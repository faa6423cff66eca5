package io.vlmoperator.trainer.data;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.FilterModel.Sample;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Asks a filter model about the samples of a shard that have no answer yet, batch by batch; images are decoded on other threads while the
 * model computes. What is answered is published every now and then, so work that is killed goes on where it was.
 */
final class ShardScorer implements AutoCloseable {
    /** Samples between two questions of whether to publish; whole batches, so that a restart asks the same batches. */
    static final int PAGE = 1024;
    /** Batches that are decoded ahead of the model. */
    private static final int AHEAD = 2;

    private static final String WANTED =
            "SELECT ordinal, uid, key, digest, image_offset, image_size, text_offset, text_size FROM read_parquet(%s)"
                    + " WHERE status = 'ok' AND ordinal > %d AND digest NOT IN (SELECT digest FROM scores)"
                    + " ORDER BY ordinal LIMIT " + PAGE;

    private final FilterModel model;
    private final Select.Metric metric;
    private final Path out;
    private final ExecutorService threads;
    private final long publishNanos;
    private final Runnable published;

    /**
     * What was done.
     *
     * @param asked samples
     * @param bad answers that are no number
     * @param nanos of it all
     * @param waited of these for samples to be read and decoded
     */
    record Tally(long asked, long bad, long nanos, long waited) {
        static final Tally NONE = new Tally(0, 0, 0, 0);

        Tally plus(Tally other) {
            return new Tally(asked + other.asked, bad + other.bad, nanos + other.nanos, waited + other.waited);
        }

        /** For people. */
        String line() {
            return String.format(
                    java.util.Locale.ROOT,
                    "%d samples scored, %.1f a second, %.1f %% of the time waiting for data, %d answers are no number",
                    asked,
                    nanos == 0 ? 0 : asked * 1e9 / nanos,
                    nanos == 0 ? 0 : 100.0 * waited / nanos,
                    bad);
        }
    }

    private record Wanted(
            int ordinal, String uid, String key, String digest, long image, int imageSize, long text, int textSize) {}

    private record Loading(List<Wanted> rows, List<Future<Sample>> samples) {}

    /**
     * @param out the Dataset's folder
     * @param threadCount that decode
     * @param publishNanos time between two publications of an unfinished file
     * @param published told after each of them
     */
    ShardScorer(
            FilterModel model, Select.Metric metric, Path out, int threadCount, long publishNanos, Runnable published) {
        if (PAGE % model.batch() != 0) {
            throw new IllegalArgumentException("a batch of " + model.batch() + " does not divide " + PAGE);
        }
        this.model = model;
        this.metric = metric;
        this.out = out;
        this.publishNanos = publishNanos;
        this.published = published;
        threads = Executors.newFixedThreadPool(threadCount, task -> {
            Thread thread = new Thread(task, "score-decoder");
            thread.setDaemon(true);
            return thread;
        });
    }

    /**
     * Scores what is missing; nothing when the file is complete.
     *
     * @param alive told of every batch
     * @param tar of the samples
     * @param location of it, for messages
     * @param index of it
     * @throws TrainerException InvalidData when the tar is no longer what was indexed; StorageFailed
     */
    Tally score(Duck duck, Path tar, String location, Path index, Runnable alive) {
        ScoreFile file =
                new ScoreFile(out, model.digest(), metric, index.getFileName().toString());
        try {
            String indexDigest = Digests.ofFile(index);
            if (file.isComplete(duck, indexDigest)) {
                return Tally.NONE;
            }
            Storage.createFolder(file.path().getParent());
            Storage.deleteTemporaries(
                    file.path().getParent(), file.path().getFileName().toString());
            duck.execute("CREATE OR REPLACE TABLE scores (digest VARCHAR, score INTEGER, answer VARCHAR)");
            if (file.isUsable(duck)) {
                duck.execute("INSERT INTO scores " + file.query());
            }
            String all = "SELECT i.key, i.uid, i.digest, s.answer, s.score FROM read_parquet(" + Duck.quote(index)
                    + ") i JOIN (SELECT digest, min(score) AS score, min(answer) AS answer FROM scores GROUP BY digest) s"
                    + " ON i.digest = s.digest WHERE i.status = 'ok' ORDER BY i.ordinal";
            Tally tally;
            try (FileChannel channel = FileChannel.open(tar)) {
                tally = walk(duck, channel, location, index, () -> file.publish(duck, all, ""), alive);
            }
            file.publish(duck, all, indexDigest);
            published.run();
            duck.execute("DROP TABLE scores");
            return tally;
        } catch (SQLException e) {
            throw Duck.failed("scoring " + location, e);
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + location + ": " + e.getMessage(), e);
        }
    }

    private Tally walk(Duck duck, FileChannel channel, String location, Path index, Runnable publish, Runnable alive)
            throws SQLException {
        long start = System.nanoTime();
        long since = start;
        long waited = 0;
        long asked = 0;
        long bad = 0;
        int last = -1;
        boolean more = true;
        Deque<List<Wanted>> pages = new ArrayDeque<>();
        Deque<Loading> loading = new ArrayDeque<>();
        while (true) {
            while (loading.size() <= AHEAD && (more || !pages.isEmpty())) {
                if (pages.isEmpty()) {
                    List<Wanted> page = page(duck, index, last);
                    more = page.size() == PAGE;
                    last = page.isEmpty() ? last : page.getLast().ordinal();
                    for (int from = 0; from < page.size(); from += model.batch()) {
                        pages.add(page.subList(from, Math.min(page.size(), from + model.batch())));
                    }
                    continue;
                }
                List<Wanted> batch = pages.remove();
                List<Future<Sample>> samples = new ArrayList<>();
                for (Wanted wanted : batch) {
                    samples.add(threads.submit(() -> load(channel, location, wanted)));
                }
                loading.add(new Loading(batch, samples));
            }
            if (loading.isEmpty()) {
                break;
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new TrainerException(ExitCode.Terminated, "stopped while " + location + " was scored");
            }
            Loading next = loading.remove();
            long before = System.nanoTime();
            List<Sample> samples = samples(next, location);
            waited += System.nanoTime() - before;
            bad += add(duck, next.rows(), model.ask(metric, samples));
            asked += samples.size();
            alive.run();
            if (asked % PAGE == 0 && System.nanoTime() - since >= publishNanos) {
                publish.run();
                published.run();
                since = System.nanoTime();
            }
        }
        return new Tally(asked, bad, System.nanoTime() - start, waited);
    }

    private static List<Wanted> page(Duck duck, Path index, int after) throws SQLException {
        List<Wanted> page = new ArrayList<>();
        try (Statement statement = duck.connection().createStatement();
                ResultSet rows = statement.executeQuery(WANTED.formatted(Duck.quote(index), after))) {
            while (rows.next()) {
                page.add(new Wanted(
                        rows.getInt(1),
                        rows.getString(2),
                        rows.getString(3),
                        rows.getString(4),
                        rows.getLong(5),
                        rows.getInt(6),
                        rows.getLong(7),
                        rows.getInt(8)));
            }
        }
        return page;
    }

    private Sample load(FileChannel channel, String location, Wanted wanted) throws IOException {
        byte[] image = Storage.read(channel, wanted.image(), wanted.imageSize());
        byte[] caption = Storage.read(channel, wanted.text(), wanted.textSize());
        if (!Digests.short128(caption, image).equals(wanted.digest())) {
            throw changed(location, wanted);
        }
        try {
            return new Sample(SampleRules.utf8(caption), model.pixels(image));
        } catch (RejectedException e) {
            throw changed(location, wanted);
        }
    }

    private static TrainerException changed(String location, Wanted wanted) {
        return TrainerException.data("sample " + wanted.key() + " of " + location
                + " is no longer what was indexed; let the tar's writer finish, then make the Dataset again");
    }

    private static List<Sample> samples(Loading batch, String location) {
        List<Sample> samples = new ArrayList<>();
        try {
            for (Future<Sample> sample : batch.samples()) {
                samples.add(sample.get());
            }
            return samples;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while " + location + " was scored", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case TrainerException known -> throw known;
                case IOException failed ->
                    throw TrainerException.storage("can't read " + location + ": " + failed.getMessage(), failed);
                default ->
                    throw new TrainerException(
                            ExitCode.InternalError, "reading a sample of " + location + ": " + e.getCause(), e);
            }
        }
    }

    private static long add(Duck duck, List<Wanted> rows, List<String> answers) throws SQLException {
        long bad = 0;
        try (var appender = duck.connection().createAppender("main", "scores")) {
            for (int i = 0; i < rows.size(); i++) {
                OptionalInt score = ScoreAnswer.parse(answers.get(i));
                appender.beginRow();
                appender.append(rows.get(i).digest());
                if (score.isPresent()) {
                    appender.append(score.getAsInt());
                } else {
                    appender.appendNull();
                    bad++;
                }
                appender.append(ScoreAnswer.shown(answers.get(i)));
                appender.endRow();
            }
        }
        return bad;
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
