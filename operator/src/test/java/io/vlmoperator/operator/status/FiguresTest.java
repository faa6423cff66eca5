package io.vlmoperator.operator.status;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class FiguresTest {
    @Test
    void fourDigitsAreEnoughForAColumn() {
        assertThat(Figures.readable(3761.916320173496)).isEqualTo(3762.0);
        assertThat(Figures.readable(1.0823876464251176)).isEqualTo(1.082);
        assertThat(Figures.readable(0.9757663216560509)).isEqualTo(0.9758);
        assertThat(Figures.readable(5e-5)).isEqualTo(5e-5);
        assertThat(Figures.readable(0.0)).isEqualTo(0.0);
    }

    @Test
    void whatIsNotFiniteIsLeftOut() {
        assertThat(Figures.readable(null)).isNull();
        assertThat(Figures.readable(Double.NaN)).isNull();
        assertThat(Figures.readable(Double.POSITIVE_INFINITY)).isNull();
    }
}
