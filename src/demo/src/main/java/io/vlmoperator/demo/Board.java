package io.vlmoperator.demo;

import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/**
 * The live lines, one a resource. On a terminal they are redrawn in place; elsewhere a resource's line is printed again when its phase
 * changes and at most every quarter of a minute while it moves.
 */
final class Board {
    private static final int WIDTH = 150;
    private static final long QUIET_NANOS = 15_000_000_000L;

    private final PrintStream out;
    private final boolean terminal;
    private final java.util.Map<String, Printed> printed = new java.util.HashMap<>();
    private int drawn;

    private record Printed(Row row, long nanos) {}

    Board(PrintStream out, boolean terminal) {
        this.out = out;
        this.terminal = terminal;
    }

    void show(List<Row> rows, long nanos) {
        if (terminal) {
            redraw(rows);
        } else {
            rows.forEach(row -> append(row, nanos));
        }
    }

    private void redraw(List<Row> rows) {
        StringBuilder text = new StringBuilder();
        if (drawn > 0) {
            text.append("\033[").append(drawn).append('A');
        }
        for (Row row : rows) {
            text.append("\033[2K").append(line(row)).append('\n');
        }
        drawn = rows.size();
        out.print(text);
        out.flush();
    }

    private void append(Row row, long nanos) {
        Printed last = printed.get(row.kind() + "/" + row.name());
        boolean turned = last == null
                || last.row().phase() != row.phase()
                || !last.row().message().equals(row.message());
        boolean moved = last != null && !last.row().equals(row) && nanos - last.nanos() >= QUIET_NANOS;
        if (turned || moved) {
            out.println(line(row));
            printed.put(row.kind() + "/" + row.name(), new Printed(row, nanos));
        }
    }

    static String line(Row row) {
        String text = String.format(
                Locale.ROOT,
                "  %-12s %-22s %-10s %s",
                row.kind(),
                row.name(),
                row.phase(),
                row.facts() + (row.message().isEmpty() ? "" : (row.facts().isEmpty() ? "" : "  ") + row.message()));
        return text.length() <= WIDTH ? text.stripTrailing() : text.substring(0, WIDTH - 3) + "...";
    }
}
