package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who ends when: what a process has to say, its launcher must still be there to pass on. */
class SignalsTest {
    @ParameterizedTest
    @ValueSource(longs = {100, 1_000, 2_000, 2_001, 2_100, 4_000, 30_000, 600_000})
    void aLauncherOutlivesItsProcessesAndEndsBeforeTheNode(long graceMillis) {
        Duration grace = Duration.ofMillis(graceMillis);
        assertThat(Signals.usable(grace)).isBetween(grace.dividedBy(2), grace).isLessThan(Signals.usableOfAll(grace));
        assertThat(Signals.usableOfAll(grace)).isLessThan(grace);
    }

    @ParameterizedTest
    @ValueSource(longs = {4, 30, 600})
    void twoSecondsAreKeptForTheLastWords(long graceSeconds) {
        assertThat(Signals.usable(Duration.ofSeconds(graceSeconds))).hasSeconds(graceSeconds - 2);
    }
}
