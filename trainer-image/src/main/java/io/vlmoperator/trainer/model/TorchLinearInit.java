package io.vlmoperator.trainer.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.vlmoperator.trainer.op.Scope;
import java.lang.foreign.MemorySegment;

/**
 * The weights that torch gives freshly made {@code Linear} layers on the CPU after its generator was seeded: uniform between
 * -1/sqrt(inputs) and 1/sqrt(inputs), the weight first and then the bias, layer by layer. Bit for bit, so that a run can start where the
 * paper's code does (it seeds with {@value #PAPER_SEED} and makes the projector).
 *
 * <p>The numbers are those of the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), of which torch takes the low 24 bits for a
 * float32.
 */
final class TorchLinearInit {
    /** Seed of the projector in the paper's code. */
    static final long PAPER_SEED = 1152;

    private static final int N = 624;
    private static final int M = 397;

    private final int[] state = new int[N];
    private int next = N;

    private TorchLinearInit(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
        }
    }

    /** Fills the projector: its two layers in order, each weight before its bias. */
    static void projector(Weights weights, long seed) {
        TorchLinearInit generator = new TorchLinearInit(seed);
        try (Scope scope = Scope.open();
                HostWeights host = new HostWeights(weights, scope)) {
            for (String layer : new String[] {"linear_1", "linear_2"}) {
                String name = Part.PROJECTOR.prefix() + layer;
                MemorySegment weight = host.write(name + ".weight");
                MemorySegment bias = host.write(name + ".bias");
                long inputs = weight.byteSize() / bias.byteSize();
                generator.uniform(weight, weightBound(inputs));
                generator.uniform(bias, 1 / Math.sqrt(inputs));
            }
        }
    }

    /** The same number as for a bias, by way of a gain: in double precision not always the same. */
    private static double weightBound(long inputs) {
        double slope = Math.sqrt(5);
        double gain = Math.sqrt(2.0 / (1 + slope * slope));
        return Math.sqrt(3.0) * (gain / Math.sqrt(inputs));
    }

    private void uniform(MemorySegment target, double bound) {
        float from = (float) -bound;
        float range = (float) bound - from;
        for (long i = 0; i < target.byteSize() / Float.BYTES; i++) {
            float share = (bits() & 0xFFFFFF) * 0x1.0p-24f;
            target.setAtIndex(JAVA_FLOAT, i, Math.fma(share, range, from)); // torch is compiled with fused multiply-add
        }
    }

    private int bits() {
        if (next == N) {
            for (int k = 0; k < N; k++) {
                int y = (state[k] & 0x80000000) | (state[(k + 1) % N] & 0x7FFFFFFF);
                state[k] = state[(k + M) % N] ^ (y >>> 1) ^ ((y & 1) == 0 ? 0 : 0x9908B0DF);
            }
            next = 0;
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= (y << 7) & 0x9D2C5680;
        y ^= (y << 15) & 0xEFC60000;
        return y ^ (y >>> 18);
    }
}
