package io.vlmoperator.trainer.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplingTest {
    /** Probabilities 1/2, 1/4, 1/8, 1/8 at temperature 1, in another order than that. */
    private static final float[] LOGITS = {log(0.125), log(0.5), log(0.125), log(0.25)};

    private static final int DRAWS = 40_000;

    private static float log(double p) {
        return (float) Math.log(p);
    }

    private static double[] shares(Sampling sampling) {
        double[] shares = new double[LOGITS.length];
        for (int i = 0; i < DRAWS; i++) {
            shares[sampling.choose(LOGITS, Sampling.uniform(i, 0))] += 1.0 / DRAWS;
        }
        return shares;
    }

    /** Expected shares by hand; 40,000 draws have a standard deviation of at most 0.0025. */
    @ParameterizedTest
    @CsvSource({
        "1,   0, 1,    0.125, 0.5,    0.125, 0.25",
        "1,   2, 1,    0,     0.6667, 0,     0.3333",
        "1,   0, 0.75, 0,     0.6667, 0,     0.3333",
        "1,   0, 0.76, 0.1429, 0.5714, 0,    0.2857",
        "1,   3, 0.5,  0,     1,      0,     0",
        "1,   1, 1,    0,     1,      0,     0",
        "1, 999, 1,    0.125, 0.5,    0.125, 0.25",
        "0.5, 0, 1,    0.0455, 0.7273, 0.0455, 0.1818",
        "0,   0, 1,    0,     1,      0,     0",
    })
    void choosesByProbability(double t, int k, double p, double a, double b, double c, double d) {
        double[] shares = shares(new Sampling(t, k, p));
        double[] expected = {a, b, c, d};
        for (int id = 0; id < 4; id++) {
            if (expected[id] == 0) {
                assertThat(shares[id]).as("share of %d", id).isZero();
            } else {
                assertThat(shares[id]).as("share of %d", id).isEqualTo(expected[id], within(0.012));
            }
        }
    }

    @Test
    void randomNumbersFillTheirRangeEvenlyAndDependOnSeedAndStep() {
        int[] buckets = new int[20];
        for (int seed = 0; seed < 200; seed++) {
            for (int step = 0; step < 200; step++) {
                double u = Sampling.uniform(seed, step);
                assertThat(u).isBetween(0.0, Math.nextDown(1.0));
                buckets[(int) (u * 20)]++;
            }
        }
        for (int count : buckets) {
            assertThat(count).isBetween(1800, 2200);
        }
        assertThat(Sampling.uniform(7, 3)).isEqualTo(Sampling.uniform(7, 3));
        assertThat(Sampling.uniform(7, 3)).isNotEqualTo(Sampling.uniform(3, 7));
    }

    @Test
    void extremesAreSafe() {
        Sampling cold = new Sampling(1e-9, 0, 1);
        Sampling hot = new Sampling(100, 0, 1);
        float[] wide = {-3e38f, 3e38f, 0, -0.0f};
        for (double u : new double[] {0, 0.5, Math.nextDown(1.0)}) {
            assertThat(cold.choose(wide, u)).isEqualTo(1);
            assertThat(hot.choose(wide, u)).isEqualTo(1);
            assertThat(hot.choose(new float[] {5}, u)).isZero();
        }
        Random random = new Random(1);
        float[] many = new float[5000];
        for (int i = 0; i < many.length; i++) {
            many[i] = (float) random.nextGaussian();
        }
        assertThat(new Sampling(1, 0, 1e-12).choose(many, 0.999)).isEqualTo(Sampling.GREEDY.choose(many, 0));
        assertThat(Sampling.GREEDY.choose(new float[] {1, 2, 2}, 0.9)).isEqualTo(1);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> hot.choose(new float[] {0, bad}, 0.5))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessageContaining("token 1");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "-1, 0, 1, temperature",
        "NaN, 0, 1, temperature",
        "101, 0, 1, temperature",
        "1, -1, 1, top-k",
        "1, 0, 0, top-p",
        "1, 0, 1.01, top-p",
        "1, 0, NaN, top-p"
    })
    void valuesOutOfRange(double temperature, int topK, double topP, String named) {
        assertThatThrownBy(() -> new Sampling(temperature, topK, topP))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(named);
    }
}
