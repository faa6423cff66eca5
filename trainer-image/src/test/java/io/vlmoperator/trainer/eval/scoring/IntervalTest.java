package io.vlmoperator.trainer.eval.scoring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class IntervalTest {
    @Test
    void wilsonIsTheDistanceBetweenTheRootsOfItsEquation() {
        // The bounds q solve (p - q)^2 = z^2 q (1 - q) / n.
        double z2 = 1.959963984540054 * 1.959963984540054;
        for (int n : new int[] {1, 10, 1850}) {
            for (double p : new double[] {0, 0.25, 0.6, 1}) {
                double a = 1 + z2 / n;
                double b = -(2 * p + z2 / n);
                double apart = Math.sqrt(b * b - 4 * a * p * p) / a;
                assertThat(Interval.wilson(p, n)).as("p %s n %s", p, n).isEqualTo(apart / 2, within(1e-12));
            }
        }
    }

    @Test
    void coversTheTruthNineteenTimesOutOfTwenty() {
        Random random = new Random(3);
        int inside = 0;
        for (int trial = 0; trial < 2000; trial++) {
            double p = IntStream.range(0, 400)
                            .filter(_ -> random.nextDouble() < 0.4)
                            .count()
                    / 400.0;
            inside += Math.abs(p - 0.4) <= Interval.wilson(p, 400) ? 1 : 0;
        }
        assertThat(inside / 2000.0).isBetween(0.93, 0.97);
    }

    @Test
    void nothingIsKnownWithoutRows() {
        assertThat(Interval.wilson(0, 0)).isEqualTo(1);
        assertThat(Interval.macro(List.of())).isEqualTo(1);
    }

    @Test
    void macroOfOneCategoryIsWilson() {
        List<Aggregate.Row> rows = List.of(
                new Aggregate.Row(1, "a", true), new Aggregate.Row(2, "a", false), new Aggregate.Row(3, "a", false));
        assertThat(Interval.macro(rows)).isEqualTo(Interval.wilson(1 / 3.0, 3), within(1e-12));
    }
}
