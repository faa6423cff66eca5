package io.vlmoperator.trainer.op;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How the rows of a micro-batch are laid out for attention. Tokens lie end to end, [T]; attention wants rectangles. Segments of similar
 * length are gathered into groups [S, L], filled up at the end with a row whose result nobody reads; afterwards the results are put back
 * in the order of the tokens. Built once for a micro-batch and used by every layer; lives in the scope given.
 */
public final class Segments {
    /** A group is closed when the next segment would leave more than this share of its rectangle row empty. */
    private static final double MAX_EMPTY = 0.25;

    /** Segments shorter than the group's longest by this many positions still join: a group of its own costs more. */
    private static final int MAX_EMPTY_POSITIONS = 8;

    private final List<Tensor> index;
    private final List<Tensor> back;
    private final List<RotaryTable> tables;
    private final List<Tensor> rectangle;
    private final int longest;

    private Segments(
            List<Tensor> index, List<Tensor> back, List<RotaryTable> tables, List<Tensor> rectangle, int longest) {
        this.index = index;
        this.back = back;
        this.tables = tables;
        this.rectangle = rectangle;
        this.longest = longest;
    }

    /**
     * Layout for training and scoring.
     *
     * @param starts first token of each segment, and behind the last one the number of tokens
     * @param positionsT rotary position of each token
     * @param frequencies of {@link RotaryTable#frequencies}
     */
    public static Segments of(Scope scope, int[] starts, int[] positionsT, Tensor frequencies) {
        return build(scope, starts, positionsT, frequencies, groups(starts));
    }

    /** Layout for filling a cache: all segments in one group, in their order. */
    public static Segments inOneGroup(Scope scope, int[] starts, int[] positionsT, Tensor frequencies) {
        return build(
                scope,
                starts,
                positionsT,
                frequencies,
                List.of(IntStream.range(0, starts.length - 1).toArray()));
    }

    private static Segments build(Scope scope, int[] starts, int[] positionsT, Tensor frequencies, List<int[]> groups) {
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
        int longest = IntStream.range(0, starts.length - 1)
                .map(s -> starts[s + 1] - starts[s])
                .max()
                .orElse(0);
        return new Segments(
                inPlace ? List.of() : index,
                inPlace ? List.of() : List.of(scope.indices(back)),
                tables,
                index,
                longest);
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

    List<Tensor> index() {
        return index;
    }

    List<Tensor> back() {
        return back;
    }

    List<Tensor> cosines() {
        return tables.stream().map(RotaryTable::cosines).toList();
    }

    List<Tensor> sines() {
        return tables.stream().map(RotaryTable::sines).toList();
    }

    Tensor rectangle() {
        return rectangle.getFirst();
    }

    /** Tokens of the longest segment. */
    public int longest() {
        return longest;
    }
}
