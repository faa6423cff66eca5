package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.RotaryTable;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Segments;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** Greedy generation with a cache of keys and values. Rows may differ in length and number of images. */
public final class Generator {
    private final VisionLanguageModel model;
    private final LanguageModel language;
    private final LanguageConfig sizes;

    /** Generates with this model. */
    public Generator(VisionLanguageModel model) {
        this.model = model;
        language = model.language();
        sizes = model.config().language();
    }

    /** Keys and values of one layer, [rows, positions, key-value heads, head size]. */
    private record Cache(Tensor keys, Tensor values) {}

    /**
     * Continues every segment of {@code prompts}.
     *
     * @param prompts one segment per row; labels are not read
     * @param maxNewTokens bound for every row, at least 1
     * @param stopIds ids that end a row; they are not part of the answer
     * @return the new tokens of each row
     */
    public List<int[]> greedy(Batch prompts, int maxNewTokens, Set<Integer> stopIds) {
        if (maxNewTokens < 1) {
            throw new IllegalArgumentException("maxNewTokens " + maxNewTokens + ", at least 1");
        }
        int rows = prompts.segments();
        int[] starts = prompts.segmentStarts();
        int[] lastToken =
                IntStream.range(0, rows).map(row -> starts[row + 1] - 1).toArray();
        int[] length = IntStream.range(0, rows)
                .map(row -> starts[row + 1] - starts[row])
                .toArray();
        int[] position = IntStream.of(lastToken)
                .map(token -> prompts.positionsT()[token])
                .toArray();
        List<List<Integer>> answers = IntStream.range(0, rows)
                .<List<Integer>>mapToObj(row -> new ArrayList<>())
                .toList();
        boolean[] done = new boolean[rows];
        int longest = IntStream.of(length).max().orElseThrow();

        try (Scope scope = Scope.open()) {
            List<Cache> caches = caches(scope, rows, longest + maxNewTokens);
            long[] next = prefill(prompts, caches, lastToken);
            for (int made = 1; ; made++) {
                boolean allDone = true;
                for (int row = 0; row < rows; row++) {
                    done[row] |= stopIds.contains((int) next[row]);
                    if (!done[row]) {
                        answers.get(row).add((int) next[row]);
                    }
                    allDone &= done[row];
                }
                if (allDone || made == maxNewTokens) {
                    break;
                }
                for (int row = 0; row < rows; row++) {
                    position[row]++;
                }
                next = step(next, length, position, caches, longest + made);
                for (int row = 0; row < rows; row++) {
                    length[row]++;
                }
            }
        }
        return answers.stream()
                .map(answer -> answer.stream().mapToInt(Integer::intValue).toArray())
                .toList();
    }

    private List<Cache> caches(Scope scope, int rows, int positions) {
        long[] shape = {rows, positions, sizes.numKeyValueHeads(), sizes.headDim()};
        return language.layers().stream()
                .map(layer -> new Cache(scope.zeros(DType.FLOAT32, shape), scope.zeros(DType.FLOAT32, shape)))
                .toList();
    }

    /** Reads the prompts, fills the caches, returns the first new token of each row. */
    private long[] prefill(Batch prompts, List<Cache> caches, int[] lastToken) {
        try (Scope scope = Scope.open()) {
            Segments segments =
                    Segments.inOneGroup(scope, prompts.segmentStarts(), prompts.positionsT(), language.frequencies());
            Tensor hiddenTD = model.inputEmbeddings(prompts, scope);
            for (int number = 0; number < caches.size(); number++) {
                Cache cache = caches.get(number);
                hiddenTD = layer(scope, number, hiddenTD, (ops, queryKeyValueTE) -> {
                    ops.fillCache(
                            queryKeyValueTE,
                            segments,
                            sizes.numAttentionHeads(),
                            sizes.numKeyValueHeads(),
                            cache.keys(),
                            cache.values());
                    return ops.segmentAttention(
                            queryKeyValueTE, segments, sizes.numAttentionHeads(), sizes.numKeyValueHeads());
                });
            }
            return mostLikely(scope, language.finalNorm(scope.ops(), hiddenTD, scope.indices(lastToken)));
        }
    }

    /** Reads one token per row at its cache position {@code length}, returns the next one of each row. */
    private long[] step(long[] ids, int[] length, int[] position, List<Cache> caches, int longest) {
        try (Scope scope = Scope.open()) {
            Tensor lengthS = scope.indices(length);
            RotaryTable rotary = RotaryTable.of(scope, position, position.length, 1, language.frequencies());
            Tensor hiddenSD = language.embed(scope.ops(), scope.longs(ids));
            for (int number = 0; number < caches.size(); number++) {
                Cache cache = caches.get(number);
                hiddenSD = layer(
                        scope,
                        number,
                        hiddenSD,
                        (ops, queryKeyValueSE) -> ops.stepAttention(
                                queryKeyValueSE,
                                rotary,
                                sizes.numAttentionHeads(),
                                sizes.numKeyValueHeads(),
                                cache.keys(),
                                cache.values(),
                                lengthS,
                                longest));
            }
            return mostLikely(scope, language.finalNorm(scope.ops(), hiddenSD));
        }
    }

    private Tensor layer(Scope scope, int number, Tensor hidden, DecoderLayer.Attention attention) {
        try (Scope local = scope.child()) {
            return language.layers()
                    .get(number)
                    .forward(local.ops(), hidden, attention)
                    .moveTo(scope);
        }
    }

    private long[] mostLikely(Scope scope, Tensor normedSD) {
        Ops ops = scope.ops();
        return ops.argMax(ops.linear(normedSD, language.head())).longs();
    }
}
