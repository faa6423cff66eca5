package io.vlmoperator.trainer.data;

/** Hashes numbers into well-mixed 64 bits (the finaliser of SplitMix64, chained). */
final class Mix {
    private Mix() {}

    static long of(long... values) {
        long state = 0x9E3779B97F4A7C15L;
        for (long value : values) {
            state = mix(state + mix(value + 0x9E3779B97F4A7C15L));
        }
        return state;
    }

    private static long mix(long z) {
        long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
        return b ^ (b >>> 31);
    }
}
