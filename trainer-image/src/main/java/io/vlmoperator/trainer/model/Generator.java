package io.vlmoperator.trainer.model;

import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Ops;
import io.vlmoperator.trainer.op.RotaryTable;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Segments;
import io.vlmoperator.trainer.op.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Generation with a cache of keys and values: the prompts are read once, and each further token costs one pass over one token. Rows may
 * differ in length and number of images.
 */
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

    /**
     * What is wanted of every row.
     *
     * @param maxNewTokens bound for every row, at least 1
     * @param stopIds ids that end a row; they are not part of the answer
     * @param sampling how tokens are chosen
     */
    public record Request(int maxNewTokens, Set<Integer> stopIds, Sampling sampling) {
        public Request {
            if (maxNewTokens < 1) {
                throw new IllegalArgumentException("maxNewTokens " + maxNewTokens + ", at least 1");
            }
            stopIds = Set.copyOf(stopIds);
        }
    }

    /** Hears every token of an answer as soon as it is there. */
    @FunctionalInterface
    public interface Listener {
        /** Hears nothing and ends nothing. */
        Listener NONE = (row, id) -> true;

        /**
         * Called in the order of the rows, once for each row that goes on; a stop id is not told.
         *
         * @return whether the row goes on; with false this token is its last, and part of its answer
         */
        boolean heard(int row, int id);
    }

    /** Keys and values of one layer, [rows, positions, key-value heads, head size]. */
    private record Cache(Tensor keys, Tensor values) {}

    /** The next token of each row from the logits of all rows, [rows, vocabulary]; {@code step} counts from 0. */
    @FunctionalInterface
    interface Choice {
        long[] of(Ops ops, Tensor logitsSV, int step);
    }

    /** {@link #generate} of the likeliest tokens. */
    public List<int[]> greedy(Batch prompts, int maxNewTokens, Set<Integer> stopIds) {
        return generate(
                prompts,
                new Request(maxNewTokens, stopIds, Sampling.GREEDY),
                new long[prompts.segments()],
                Listener.NONE);
    }

    /**
     * Continues every segment of {@code prompts}.
     *
     * @param prompts one segment per row; labels are not read
     * @param seeds one per row: a row's answer depends on its own seed and not on the rows beside it (but for the last bits of the logits,
     *     which differ with the shape of the batch)
     * @return the new tokens of each row
     * @throws IllegalArgumentException if prompt and answer of a row take more positions than the model was made for
     * @throws ArithmeticException if sampling meets a logit that is not finite
     */
    public List<int[]> generate(Batch prompts, Request request, long[] seeds, Listener listener) {
        if (seeds.length != prompts.segments()) {
            throw new IllegalArgumentException(seeds.length + " seeds for " + prompts.segments() + " rows");
        }
        Choice choice = request.sampling().isGreedy()
                ? (ops, logitsSV, step) -> ops.argMax(logitsSV).longs()
                : (ops, logitsSV, step) -> sample(logitsSV, request.sampling(), seeds, step);
        return generate(prompts, request, choice, listener);
    }

    List<int[]> generate(Batch prompts, Request request, Choice choice, Listener listener) {
        int rows = prompts.segments();
        int maxNewTokens = request.maxNewTokens();
        int[] starts = prompts.segmentStarts();
        int[] lastToken =
                IntStream.range(0, rows).map(row -> starts[row + 1] - 1).toArray();
        int[] length = IntStream.range(0, rows)
                .map(row -> starts[row + 1] - starts[row])
                .toArray();
        int[] position = IntStream.of(lastToken)
                .map(token -> prompts.positionsT()[token])
                .toArray();
        requireRoom(position, maxNewTokens);
        List<List<Integer>> answers = IntStream.range(0, rows)
                .<List<Integer>>mapToObj(row -> new ArrayList<>())
                .toList();
        boolean[] done = new boolean[rows];
        int longest = IntStream.of(length).max().orElseThrow();

        try (Scope scope = Scope.open()) {
            List<Cache> caches = caches(scope, rows, longest + maxNewTokens);
            long[] next = prefill(prompts, caches, lastToken, choice);
            for (int made = 1; ; made++) {
                boolean allDone = true;
                for (int row = 0; row < rows; row++) {
                    if (!done[row]) {
                        done[row] = !take((int) next[row], row, answers.get(row), request, listener);
                    }
                    allDone &= done[row];
                }
                if (allDone || made == maxNewTokens) {
                    break;
                }
                for (int row = 0; row < rows; row++) {
                    position[row]++;
                }
                next = step(next, length, position, caches, longest + made, choice, made);
                for (int row = 0; row < rows; row++) {
                    length[row]++;
                }
            }
        }
        return answers.stream()
                .map(answer -> answer.stream().mapToInt(Integer::intValue).toArray())
                .toList();
    }

    /** Adds a token to its answer; returns whether the row goes on. */
    private static boolean take(int id, int row, List<Integer> answer, Request request, Listener listener) {
        if (request.stopIds().contains(id)) {
            return false;
        }
        answer.add(id);
        return listener.heard(row, id);
    }

    private void requireRoom(int[] position, int maxNewTokens) {
        int most = sizes.maxPositionEmbeddings();
        for (int row = 0; row < position.length; row++) {
            if (position[row] + 1L + maxNewTokens > most) {
                throw new IllegalArgumentException("row " + row + ": a prompt of " + (position[row] + 1)
                        + " positions and an answer of up to " + maxNewTokens + ", but the model reads " + most);
            }
        }
    }

    private static long[] sample(Tensor logitsSV, Sampling sampling, long[] seeds, int step) {
        float[] logits = logitsSV.floats();
        int vocabulary = logits.length / seeds.length;
        long[] chosen = new long[seeds.length];
        for (int row = 0; row < seeds.length; row++) {
            float[] own = Arrays.copyOfRange(logits, row * vocabulary, (row + 1) * vocabulary);
            chosen[row] = sampling.choose(own, Sampling.uniform(seeds[row], step));
        }
        return chosen;
    }

    private List<Cache> caches(Scope scope, int rows, int positions) {
        long[] shape = {rows, positions, sizes.numKeyValueHeads(), sizes.headDim()};
        return language.layers().stream()
                .map(layer -> new Cache(scope.zeros(DType.FLOAT32, shape), scope.zeros(DType.FLOAT32, shape)))
                .toList();
    }

    /** Reads the prompts, fills the caches, returns the first new token of each row. */
    private long[] prefill(Batch prompts, List<Cache> caches, int[] lastToken, Choice choice) {
        try (Scope scope = Scope.open()) {
            Segments segments =
                    Segments.inOneGroup(scope, prompts.segmentStarts(), prompts.positionsT(), language.frequencies());
            Tensor hiddenTD = model.inputEmbeddings(prompts, scope);
            for (int number = 0; number < caches.size(); number++) {
                Cache cache = caches.get(number);
                hiddenTD = layer(scope, number, hiddenTD, (ops, queryKeyValueTE) -> {
                    ops.attention()
                            .fillCache(
                                    queryKeyValueTE,
                                    segments,
                                    sizes.numAttentionHeads(),
                                    sizes.numKeyValueHeads(),
                                    cache.keys(),
                                    cache.values());
                    return ops.attention()
                            .ofSegments(queryKeyValueTE, segments, sizes.numAttentionHeads(), sizes.numKeyValueHeads());
                });
            }
            Tensor normedSD = language.finalNorm(scope.ops(), hiddenTD, scope.indices(lastToken));
            return choice.of(scope.ops(), scope.ops().linear(normedSD, language.head()), 0);
        }
    }

    /** Reads one token per row at its cache position {@code length}, returns the next one of each row. */
    private long[] step(
            long[] ids, int[] length, int[] position, List<Cache> caches, int longest, Choice choice, int made) {
        try (Scope scope = Scope.open()) {
            Tensor rowS = scope.indices(IntStream.range(0, length.length).toArray());
            Tensor lengthS = scope.indices(length);
            Tensor seen = scope.ops().attention().stepMask(lengthS, longest);
            RotaryTable rotary = RotaryTable.of(scope, position, position.length, 1, language.frequencies());
            Tensor hiddenSD = language.embed(scope.ops(), scope.longs(ids));
            for (int number = 0; number < caches.size(); number++) {
                Cache cache = caches.get(number);
                hiddenSD = layer(
                        scope,
                        number,
                        hiddenSD,
                        (ops, queryKeyValueSE) -> ops.attention()
                                .ofStep(
                                        queryKeyValueSE,
                                        rotary,
                                        sizes.numAttentionHeads(),
                                        sizes.numKeyValueHeads(),
                                        cache.keys(),
                                        cache.values(),
                                        rowS,
                                        lengthS,
                                        seen));
            }
            Tensor normedSD = language.finalNorm(scope.ops(), hiddenSD);
            return choice.of(scope.ops(), scope.ops().linear(normedSD, language.head()), made);
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
}
