package io.vlmoperator.trainer.data;

import io.vlmoperator.api.spec.Select;
import io.vlmoperator.trainer.Locations;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** The filter models that a Dataset's {@code select} names, and the files of scores they make. */
final class Scoring implements AutoCloseable {
    /** A file of scores that is not finished is published so often. */
    private static final long PUBLISH_NANOS = 60_000_000_000L;

    private final Path out;
    private final Map<String, FilterModel> models = new LinkedHashMap<>();
    private final Set<Wanted> wanted = new LinkedHashSet<>();
    private final int threads;
    private final long publishNanos;
    private final Runnable published;
    private ShardScorer.Tally tally = ShardScorer.Tally.NONE;

    private record Wanted(String location, Select.Metric metric) {}

    /**
     * @param threads that decode
     * @param publishNanos time between two publications of a file that is not finished
     * @param published told of each of them
     */
    Scoring(
            List<Select.Score> rules,
            Locations locations,
            Path out,
            FilterModel.Opener opener,
            int threads,
            long publishNanos,
            Runnable published) {
        this.out = out;
        this.threads = threads;
        this.publishNanos = publishNanos;
        this.published = published;
        try {
            for (Select.Score rule : rules) {
                String location = rule.scorer().location();
                wanted.add(new Wanted(location, rule.metric()));
                if (!models.containsKey(location)) {
                    models.put(location, opener.open(locations.resolve(location)));
                }
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** For rules that need no scores. */
    static Scoring none(Path out) {
        return new Scoring(List.of(), Locations.of(Map.of()), out, FilterModel.Opener.NONE, 1, PUBLISH_NANOS, () -> {});
    }

    /** The scores that a Dataset's rules need. */
    static Scoring of(Select select, Locations locations, Path out, FilterModel.Opener opener, int threads) {
        List<Select.Score> rules = Stream.of(select.anyOf(), select.allOf(), select.not())
                .flatMap(List::stream)
                .filter(rule -> rule.score() != null)
                .map(Select.Rule::score)
                .toList();
        return new Scoring(rules, locations, out, opener, threads, PUBLISH_NANOS, () -> {});
    }

    boolean isNeeded() {
        return !wanted.isEmpty();
    }

    /** Of the model of a rule. */
    String digest(Select.Score rule) {
        return models.get(rule.scorer().location()).digest();
    }

    ScoreFile file(Select.Score rule, String indexName) {
        return new ScoreFile(out, digest(rule), rule.metric(), indexName);
    }

    /** Asks all models about what they have not answered yet. */
    void score(Duck duck, Path tar, String location, Path index, DatasetBuilder.Progress progress) {
        for (Wanted one : wanted) {
            try (ShardScorer scorer =
                    new ShardScorer(models.get(one.location()), one.metric(), out, threads, publishNanos, published)) {
                ShardScorer.Tally done = scorer.score(duck, tar, location, index, progress::alive);
                if (done.asked() > 0) {
                    tally = tally.plus(done);
                    progress.say(location + ", " + one.metric() + ": " + done.line());
                }
            }
        }
    }

    /** Of this process. */
    ShardScorer.Tally tally() {
        return tally;
    }

    /** Whether every model has answered about every sample of an index. */
    boolean isComplete(Duck duck, Path index) throws IOException {
        if (wanted.isEmpty()) {
            return true;
        }
        String digest = Digests.ofFile(index);
        return wanted.stream()
                .allMatch(one -> new ScoreFile(
                                out,
                                models.get(one.location()).digest(),
                                one.metric(),
                                index.getFileName().toString())
                        .isComplete(duck, digest));
    }

    /** A number that changes when any file of scores is published. */
    long news() throws IOException {
        Path folder = out.resolve(ScoreFile.FOLDER);
        if (wanted.isEmpty() || !Files.isDirectory(folder)) {
            return 0;
        }
        long news = 0;
        try (Stream<Path> files = Files.walk(folder, 2)) {
            for (Path file :
                    files.filter(f -> f.toString().endsWith(".parquet")).toList()) {
                news += Files.getLastModifiedTime(file).toMillis(); // a sum: folders have no order
            }
        } catch (java.io.UncheckedIOException e) {
            throw e.getCause();
        }
        return news;
    }

    @Override
    public void close() {
        models.values().forEach(FilterModel::close);
    }
}
