package io.vlmoperator.trainer.eval;

import io.vlmoperator.api.spec.Benchmark.FewShot;
import io.vlmoperator.api.spec.EvalJobSpec.Protocol;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A benchmark, read and checked.
 *
 * @param name of the spec; also the name of its files
 * @param train rows that demonstrations may be drawn from and that are not asked; empty: the table's own
 */
record Task(
        String name,
        BenchmarkTable table,
        Optional<BenchmarkTable> train,
        List<Protocol> protocols,
        Optional<FewShot> fewShot) {
    private static final String TRAIN = "train";
    private static final String SUFFIX = ".tsv";

    Task {
        protocols = protocols.stream().distinct().toList();
    }

    /** Without demonstrations. */
    Task(String name, BenchmarkTable table, List<Protocol> protocols) {
        this(name, table, Optional.empty(), protocols, Optional.empty());
    }

    /**
     * Reads a table, or a folder with one table and perhaps {@code train.tsv} beside it.
     *
     * @throws TrainerException InvalidData for a table that can't be used; InvalidConfiguration for a protocol that does not fit its rows
     */
    static Task read(
            String name,
            Path location,
            List<Protocol> protocols,
            Optional<FewShot> fewShot,
            BenchmarkTable.ImageReader images) {
        Task task;
        if (Files.isDirectory(location)) {
            Path train = location.resolve(TRAIN + SUFFIX);
            task = new Task(
                    name,
                    new BenchmarkTable(only(location, train), images),
                    fewShot.isPresent() && Files.isRegularFile(train)
                            ? Optional.of(new BenchmarkTable(train, images))
                            : Optional.empty(),
                    protocols,
                    fewShot);
        } else {
            task = new Task(name, new BenchmarkTable(location, images), Optional.empty(), protocols, fewShot);
        }
        task.check();
        return task;
    }

    private static Path only(Path folder, Path train) {
        List<Path> tables;
        try (Stream<Path> files = Files.list(folder)) {
            tables = files.filter(file -> file.getFileName().toString().endsWith(SUFFIX) && !file.equals(train))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + folder + ": " + e.getMessage(), e);
        }
        if (tables.size() != 1) {
            throw TrainerException.data(folder + " is a folder with " + tables.size()
                    + " tables (*.tsv) besides train.tsv; a benchmark is one TSV file, or a folder with one");
        }
        return tables.getFirst();
    }

    private void check() {
        if (asked().isEmpty()) {
            throw TrainerException.data(
                    table.name() + ": all rows are of the split train, which demonstrations are drawn from");
        }
        for (Protocol protocol : protocols) {
            rule(protocol);
        }
    }

    /** How answers are read and scored; demonstrations have to be questions of the same kind. */
    Rule rule(Protocol protocol) {
        return OpenRules.of(
                name, Stream.concat(asked().stream(), pool().stream()).toList(), protocol);
    }

    /** Rows that are asked, but for the demonstrations among them. */
    List<Question> asked() {
        return fewShot.isPresent() && fewShot.get().from() == FewShot.From.Train && train.isEmpty()
                ? table.questions().stream().filter(row -> !isTrain(row)).toList()
                : table.questions();
    }

    /** Rows that demonstrations are drawn from. */
    List<Question> pool() {
        if (fewShot.isEmpty()) {
            return List.of();
        }
        return switch (fewShot.get().from()) {
            case Train ->
                train.map(BenchmarkTable::questions)
                        .orElseGet(() ->
                                table.questions().stream().filter(Task::isTrain).toList());
            case Evaluated -> table.questions();
        };
    }

    /** The table that {@link #pool} stands in. */
    BenchmarkTable poolTable() {
        return fewShot.isPresent() && fewShot.get().from() == FewShot.From.Train ? train.orElse(table) : table;
    }

    /** Passes over the benchmark by one protocol. */
    int passes() {
        return fewShot.map(shots -> shots.seeds().size()).orElse(1);
    }

    /** What decides the demonstrations; empty without any. */
    String shots() {
        return fewShot.map(shots -> shots.shots() + " " + shots.seeds() + " " + shots.from()
                        + train.map(table -> " " + table.digest()).orElse(""))
                .orElse("");
    }

    private static boolean isTrain(Question question) {
        return question.split().equalsIgnoreCase(TRAIN);
    }
}
