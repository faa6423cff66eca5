package io.vlmoperator.trainer.op;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which tokens of a micro-batch may see each other, and where they stand. Tokens lie end to end, [T]. Attention on the CPU wants rectangles:
 * segments of similar length are gathered into groups [S, L], filled up at the end with a row whose result nobody reads; afterwards the
 * results are put back in the order of the tokens. Attention on a GPU takes the tokens as they lie, with the ends of the segments. Each layout
 * is built when it is first wanted and then used by every layer; both live in the scope given.
 */
public final class Segments {
    /** A group is closed when the next segment would leave more than this share of its rectangle row empty. */
    private static final double MAX_EMPTY = 0.25;

    /** Segments shorter than the group's longest by this many positions still join: a group of its own costs more. */
    private static final int MAX_EMPTY_POSITIONS = 8;

    private final Scope scope;
    private final int[] starts;
    private final int[] positionsT;
    private final Tensor frequencies;
    private final boolean oneGroup;
    private final int longest;
    private Rectangles rectangles;
    private Rows rows;

    /**
     * Padded groups.
     *
     * @param index of each group, the token in each cell
     * @param back the cell of each token, one tensor; empty, like {@code cells}, if the tokens lie in cells already
     * @param cells {@code index}, or nothing if the tokens lie in cells already
     * @param tables of each group, the angles of its cells
     */
    record Rectangles(List<Tensor> index, List<Tensor> cells, List<Tensor> back, List<RotaryTable> tables) {
        List<Tensor> cosines() {
            return tables.stream().map(RotaryTable::cosines).toList();
        }

        List<Tensor> sines() {
            return tables.stream().map(RotaryTable::sines).toList();
        }
    }

    /**
     * Tokens as they lie.
     *
     * @param starts INT32, the first token of each segment, and behind the last one the number of tokens
     * @param startsOnHost the same numbers
     * @param table angles, [T, 1, headDim / 2]
     */
    @SuppressWarnings("ArrayRecordComponent") // handed to libtorch as it is
    record Rows(Tensor starts, long[] startsOnHost, RotaryTable table) {}

    private Segments(Scope scope, int[] starts, int[] positionsT, Tensor frequencies, boolean oneGroup) {
        this.scope = scope;
        this.starts = starts;
        this.positionsT = positionsT;
        this.frequencies = frequencies;
        this.oneGroup = oneGroup;
        longest = IntStream.range(0, starts.length - 1)
                .map(s -> starts[s + 1] - starts[s])
                .max()
                .orElse(0);
    }

    /**
     * Layout for training and scoring.
     *
     * @param starts first token of each segment, and behind the last one the number of tokens
     * @param positionsT rotary position of each token
     * @param frequencies of {@link RotaryTable#frequencies}
     */
    public static Segments of(Scope scope, int[] starts, int[] positionsT, Tensor frequencies) {
        return new Segments(scope, starts, positionsT, frequencies, false);
    }

    /** Layout for filling a cache: all segments in one group, in their order. */
    public static Segments inOneGroup(Scope scope, int[] starts, int[] positionsT, Tensor frequencies) {
        return new Segments(scope, starts, positionsT, frequencies, true);
    }

    Rows rows() {
        if (rows == null) {
            RotaryTable table = RotaryTable.of(scope, positionsT, 1, positionsT.length, frequencies);
            long[] shape = {positionsT.length, 1, frequencies.count()};
            Ops ops = scope.ops();
            rows = new Rows(
                    scope.ints(starts),
                    Arrays.stream(starts).asLongStream().toArray(),
                    new RotaryTable(ops.view(table.cosines(), shape), ops.view(table.sines(), shape)));
        }
        return rows;
    }

    Rectangles rectangles() {
        if (rectangles == null) {
            rectangles = build(
                    oneGroup ? List.of(IntStream.range(0, starts.length - 1).toArray()) : groups(starts));
        }
        return rectangles;
    }

    private Rectangles build(List<int[]> groups) {
        List<Tensor> index = new ArrayList<>();
        List<RotaryTable> tables = new ArrayList<>();
        int[] back = new int[positionsT.length];
        int offset = 0;
        boolean inPlace = groups.size() == 1;
        for (int[] group : groups) {
            int length = Arrays.stream(group)
                    .map(s -> starts[s + 1] - starts[s])
                    .max()
                    .orElse(0);
            int[] tokens = new int[group.length * length];
            int[] positions = new int[tokens.length];
            for (int row = 0; row < group.length; row++) {
                int first = starts[group[row]];
                int count = starts[group[row] + 1] - first;
                inPlace &= count == length && first == row * length;
                for (int column = 0; column < length; column++) {
                    int cell = row * length + column;
                    int token = first + Math.min(column, count - 1);
                    tokens[cell] = token;
                    positions[cell] = positionsT[token];
                    if (column < count) {
                        back[token] = offset + cell;
                    }
                }
            }
            offset += tokens.length;
            index.add(scope.indices(tokens));
            tables.add(RotaryTable.of(scope, positions, group.length, length, frequencies));
        }
        return new Rectangles(
                index, inPlace ? List.of() : index, inPlace ? List.of() : List.of(scope.indices(back)), tables);
    }

    /** Segment numbers by group: longest first, so that each group is nearly a rectangle. */
    static List<int[]> groups(int[] starts) {
        int[] order = IntStream.range(0, starts.length - 1)
                .boxed()
                .sorted(Comparator.comparingInt((Integer s) -> starts[s] - starts[s + 1]))
                .mapToInt(Integer::intValue)
                .toArray();
        List<int[]> groups = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < order.length; i++) {
            int longest = starts[order[from] + 1] - starts[order[from]];
            int length = starts[order[i] + 1] - starts[order[i]];
            if (longest - length > Math.max(MAX_EMPTY_POSITIONS, MAX_EMPTY * longest)) {
                groups.add(inOrder(order, from, i));
                from = i;
            }
        }
        groups.add(inOrder(order, from, order.length));
        return groups;
    }

    private static int[] inOrder(int[] order, int from, int to) {
        int[] group = Arrays.copyOfRange(order, from, to);
        Arrays.sort(group);
        return group;
    }

    /** Tokens of the longest segment. */
    public int longest() {
        return longest;
    }
}
