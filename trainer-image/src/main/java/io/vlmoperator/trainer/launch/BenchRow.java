package io.vlmoperator.trainer.launch;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * One figure of a benchmark, as {@code target/bench/NAME.json} lists them.
 *
 * @param figure what was measured, and how
 * @param goal null where there is none
 * @param met whether the goal is reached; null where there is none
 * @param peer what the value stands beside, measured in the same run; null where there is nothing
 */
record BenchRow(String figure, double value, String unit, Double goal, Boolean met, Object peer) {
    /** A value beside that of a peer. */
    static BenchRow beside(String figure, double value, String unit, double peer) {
        return new BenchRow(figure, round(value), unit, null, null, round(peer));
    }

    /** A ratio that is to reach a goal. */
    static BenchRow atLeast(String figure, double ratio, double goal, String peer) {
        return new BenchRow(figure, round(ratio), "ratio", goal, ratio >= goal, peer);
    }

    /** A value with nothing beside it. */
    static BenchRow plain(String figure, double value, String unit) {
        return new BenchRow(figure, round(value), unit, null, null, null);
    }

    /** A value that may not pass a goal. */
    static BenchRow atMost(String figure, double value, String unit, double goal) {
        return new BenchRow(figure, round(value), unit, goal, value <= goal, null);
    }

    /** Four digits are more than any timing has. */
    private static double round(double value) {
        return Double.parseDouble(String.format(Locale.ROOT, "%.4g", value));
    }

    /** Prints a table and writes the file. */
    static void publish(List<BenchRow> rows, Path file, PrintStream out) {
        int width = rows.stream().mapToInt(row -> row.figure().length()).max().orElse(0);
        for (BenchRow row : rows) {
            out.printf(
                    Locale.ROOT,
                    "%-" + width + "s  %10s %-14s%s%s%n",
                    row.figure(),
                    number(row.value()),
                    row.unit(),
                    row.peer() == null ? "" : "  peer " + row.peer(),
                    row.goal() == null ? "" : "  goal " + number(row.goal()) + (row.met() ? ", met" : ", NOT MET"));
        }
        try {
            if (file.toAbsolutePath().getParent() instanceof Path folder) {
                Files.createDirectories(folder);
            }
            new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), rows);
        } catch (IOException e) {
            throw TrainerException.storage("can't write " + file + ": " + e.getMessage(), e);
        }
        out.println("written: " + file);
    }

    private static String number(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e7
                ? Long.toString((long) value)
                : Double.toString(value);
    }
}
