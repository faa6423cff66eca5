package io.vlmoperator.trainer.eval.scoring;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** From hits of rows to one number of a benchmark. An empty list gives 0. */
public final class Aggregate {
    /** Rotations of one MMBench question share their index modulo this. */
    private static final long ROTATION = 1_000_000;

    private Aggregate() {}

    /**
     * @param index of the row in the benchmark's file
     * @param category empty where the benchmark has none
     */
    public record Row(long index, String category, boolean hit) {}

    /** Share of hits. */
    public static double micro(List<Row> rows) {
        return share(rows);
    }

    /** Mean of the categories' shares. */
    public static double macro(List<Row> rows) {
        return byCategory(rows).values().stream()
                .mapToDouble(Aggregate::share)
                .average()
                .orElse(0);
    }

    /** MMBench's CircularEval: one row for each question, a hit only if every rotation of its options was. */
    public static List<Row> circular(List<Row> rows) {
        Map<Long, Row> questions = new LinkedHashMap<>();
        for (Row row : rows) {
            long question = question(row.index());
            questions.merge(
                    question,
                    new Row(question, row.category(), row.hit()),
                    (before, now) -> new Row(question, before.category(), before.hit() && now.hit()));
        }
        return List.copyOf(questions.values());
    }

    /** The question that a row of MMBench is a rotation of. */
    public static long question(long index) {
        return Math.floorMod(index, ROTATION);
    }

    /** Rows of each category, in order of first appearance. */
    public static SequencedMap<String, List<Row>> byCategory(List<Row> rows) {
        SequencedMap<String, List<Row>> groups = new LinkedHashMap<>();
        for (Row row : rows) {
            groups.computeIfAbsent(row.category(), _ -> new ArrayList<>()).add(row);
        }
        return groups;
    }

    private static double share(List<Row> rows) {
        return rows.isEmpty() ? 0 : rows.stream().filter(Row::hit).count() / (double) rows.size();
    }
}
