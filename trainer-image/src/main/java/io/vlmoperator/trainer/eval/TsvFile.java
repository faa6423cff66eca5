package io.vlmoperator.trainer.eval;

import io.vlmoperator.trainer.TrainerException;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;

/**
 * A tab-separated file with a header, as pandas writes it: a cell that begins with a quote ends with one, and holds tabs, line ends and
 * doubled quotes. The cells of one large column stay in the file and are read one at a time.
 */
final class TsvFile {
    private static final int MAX_COLUMNS = 100;
    private static final int MAX_ROWS = 1_000_000;
    private static final int MAX_CELL = 1 << 18;
    private static final int MAX_LARGE_CELL = 256 << 20;

    private final Path file;
    private final List<String> columns = new ArrayList<>();
    private final List<List<String>> rows = new ArrayList<>();
    private final List<Place> places = new ArrayList<>();
    private final int large;

    /** Where a cell lies in the file, quotes included. */
    private record Place(long offset, long length) {}

    /**
     * Reads all but the large column.
     *
     * @param largeColumn its cells are empty in {@link #row}; the file may lack it
     * @throws TrainerException InvalidData if the file is empty, no UTF-8 table, or a row has another number of cells than the header;
     *     StorageFailed if it can't be read
     */
    TsvFile(Path file, String largeColumn) {
        this.file = file;
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
            Reader reader = new Reader(in);
            columns.addAll(reader.row(-1));
            if (columns.isEmpty() || columns.equals(List.of(""))) {
                throw TrainerException.data(file + " is empty: a header with index, image, question, ... is needed");
            }
            if (columns.getFirst().startsWith("\ufeff")) {
                columns.set(0, columns.getFirst().substring(1));
            }
            if (columns.size() > MAX_COLUMNS || new HashSet<>(columns).size() < columns.size()) {
                throw TrainerException.data(
                        file + " has more than " + MAX_COLUMNS + " columns, or two of one name, in its first line");
            }
            large = columns.indexOf(largeColumn);
            for (List<String> row = reader.row(large); !row.isEmpty(); row = reader.row(large)) {
                if (row.equals(List.of(""))) {
                    continue; // an empty line
                }
                if (row.size() != columns.size()) {
                    throw TrainerException.data(file + ", line " + reader.line + ": " + row.size()
                            + " cells, but the header has " + columns.size()
                            + "; was the file cut, or is a tab in a cell without quotes?");
                }
                if (rows.size() == MAX_ROWS) {
                    throw TrainerException.data(file + " has more than " + MAX_ROWS + " rows");
                }
                rows.add(List.copyOf(row));
                places.add(reader.place);
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
    }

    List<String> columns() {
        return List.copyOf(columns);
    }

    int rows() {
        return rows.size();
    }

    /** Cells in the order of the columns. */
    List<String> row(int number) {
        return rows.get(number);
    }

    /** Length in bytes of a row's large cell. */
    long largeLength(int number) {
        return places.get(number).length();
    }

    /** A row's large cell, read from the file. */
    String large(int number) {
        Place place = places.get(number);
        if (place.length() > MAX_LARGE_CELL) {
            throw TrainerException.data(
                    file + ": a cell of " + place.length() + " bytes; more than " + MAX_LARGE_CELL + " is no image");
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) place.length());
        try (FileChannel channel = FileChannel.open(file)) {
            while (bytes.hasRemaining()) {
                if (channel.read(bytes, place.offset() + bytes.position()) < 0) {
                    throw TrainerException.data(file + " became shorter while it was read");
                }
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't read " + file + ": " + e.getMessage(), e);
        }
        String cell = new String(bytes.array(), StandardCharsets.UTF_8);
        return cell.length() > 1 && cell.startsWith("\"") && cell.endsWith("\"")
                ? cell.substring(1, cell.length() - 1).replace("\"\"", "\"")
                : cell;
    }

    /** Walks through the bytes once. The marks are ASCII, so that no byte of a longer UTF-8 character is mistaken for one. */
    private final class Reader {
        private final InputStream in;
        private long offset;
        private int pushedBack = -1;
        private long line = 1;
        private Place place = new Place(0, 0);

        Reader(InputStream in) {
            this.in = in;
        }

        private int next() throws IOException {
            int value = pushedBack;
            pushedBack = -1;
            if (value < 0) {
                value = in.read();
            }
            if (value >= 0) {
                offset++;
            }
            if (value == '\n') {
                line++;
            }
            return value;
        }

        private int peek() throws IOException {
            if (pushedBack < 0) {
                pushedBack = in.read();
            }
            return pushedBack;
        }

        /** The next row; empty at the end of the file. */
        List<String> row(int largeColumn) throws IOException {
            List<String> cells = new ArrayList<>();
            if (peek() < 0) {
                return cells;
            }
            place = new Place(0, 0);
            int end = '\t';
            while (end == '\t') {
                if (cells.size() > MAX_COLUMNS) {
                    throw TrainerException.data(file + ", line " + line + ": more than " + MAX_COLUMNS + " cells");
                }
                boolean isLarge = cells.size() == largeColumn;
                long start = offset;
                ByteArrayOutputStream cell = new ByteArrayOutputStream();
                end = cell(isLarge, cell);
                if (isLarge) {
                    long length = offset - start - (end < 0 ? 0 : 1);
                    place = new Place(start, end == '\r' ? length - 1 : length);
                }
                cells.add(cell.toString(StandardCharsets.UTF_8));
            }
            return cells;
        }

        /** Reads one cell and what ends it: a tab, a line feed, {@code \r} for the pair of both, or -1. */
        private int cell(boolean skip, ByteArrayOutputStream cell) throws IOException {
            boolean quoted = peek() == '"';
            if (quoted) {
                next();
            }
            while (true) {
                int value = next();
                if (quoted && value == '"') {
                    if (peek() == '"') {
                        next();
                    } else {
                        quoted = false;
                        continue;
                    }
                } else if (value < 0) {
                    if (quoted) {
                        throw TrainerException.data(file + " ends inside a quoted cell: was it cut?");
                    }
                    return -1;
                } else if (!quoted && (value == '\t' || value == '\n')) {
                    return value;
                } else if (!quoted && value == '\r' && peek() == '\n') {
                    next();
                    return '\r';
                }
                if (!skip) {
                    cell.write(value);
                    if (cell.size() > MAX_CELL) {
                        throw TrainerException.data(
                                file + ", line " + line + ": a cell of more than " + MAX_CELL + " bytes");
                    }
                }
            }
        }
    }
}
