package io.vlmoperator.trainer.model;

import java.util.Arrays;

/**
 * How the next token is chosen from its logits: temperature first, then the {@code topK} likeliest, then of these the fewest whose
 * probabilities sum to {@code topP}; among the rest the choice is by their probabilities. This is the order that transformers has.
 *
 * @param temperature the logits are divided by it; 0: always the likeliest token, whatever the other two say
 * @param topK how many of the likeliest tokens are left; 0: all
 * @param topP the share of probability that is left, above 0; 1: all. At least one token is left
 */
public record Sampling(double temperature, int topK, double topP) {
    /** Always the likeliest token; of equals the one with the lowest id. */
    public static final Sampling GREEDY = new Sampling(0, 0, 1);

    private static final double MAX_TEMPERATURE = 100;
    private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

    /** @throws IllegalArgumentException for a value out of its range, by name */
    public Sampling {
        if (!(temperature >= 0 && temperature <= MAX_TEMPERATURE)) {
            throw new IllegalArgumentException(
                    "temperature is " + temperature + "; 0 (greedy) to " + (int) MAX_TEMPERATURE + " is possible");
        }
        if (topK < 0) {
            throw new IllegalArgumentException("top-k is " + topK + "; write 0 (all tokens) or more");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new IllegalArgumentException("top-p is " + topP + "; above 0 and up to 1 is possible");
        }
    }

    /** Whether every choice is the likeliest token, so that no random number is drawn. */
    public boolean isGreedy() {
        return temperature == 0;
    }

    /**
     * The chosen id.
     *
     * @param logits of all ids
     * @param uniform from 0 (inclusive) to 1 (exclusive)
     * @throws ArithmeticException if a logit is not a finite number
     */
    int choose(float[] logits, double uniform) {
        long[] order = byLikelihood(logits);
        if (isGreedy()) {
            return (int) order[0];
        }
        int left = topK == 0 ? order.length : Math.min(topK, order.length);
        double[] weights = new double[left];
        double largest = logits[(int) order[0]];
        double sum = 0;
        for (int i = 0; i < left; i++) {
            weights[i] = Math.exp((logits[(int) order[i]] - largest) / temperature);
            sum += weights[i];
        }
        double kept = 0;
        int count = 0;
        while (count < left && (count == 0 || kept < topP * sum)) {
            kept += weights[count++];
        }
        double at = uniform * kept;
        for (int i = 0; i < count - 1; i++) {
            at -= weights[i];
            if (at < 0) {
                return (int) order[i];
            }
        }
        return (int) order[count - 1];
    }

    /** Ids (in the lower half of each number) from the likeliest to the least likely; of equals the lowest id first. */
    private static long[] byLikelihood(float[] logits) {
        long[] keys = new long[logits.length];
        for (int id = 0; id < logits.length; id++) {
            if (!Float.isFinite(logits[id])) {
                throw new ArithmeticException("the logit of token " + id + " is " + logits[id]);
            }
            int bits = Float.floatToIntBits(logits[id] + 0.0f); // + 0: no negative zero
            int ascending = bits >= 0 ? bits : bits ^ Integer.MAX_VALUE;
            keys[id] = (long) ~ascending << 32 | id;
        }
        Arrays.sort(keys);
        return keys;
    }

    /**
     * The random number of one choice, from 0 (inclusive) to 1 (exclusive). It depends on nothing but a row's seed and how many tokens the
     * row has got before, so that it does not matter which rows are generated together. (The finalizer of SplitMix64, twice.)
     */
    static double uniform(long seed, int step) {
        return (mix(mix(seed + GOLDEN_GAMMA) + GOLDEN_GAMMA * (step + 1L)) >>> 11) * 0x1p-53;
    }

    private static long mix(long value) {
        long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
