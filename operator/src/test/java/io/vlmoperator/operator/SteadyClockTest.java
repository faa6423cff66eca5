package io.vlmoperator.operator;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class SteadyClockTest {
    private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

    private final TestClock wall = new TestClock(START);
    private final AtomicLong nanos = new AtomicLong(-5);
    private final SteadyClock clock = new SteadyClock(wall, nanos::get);

    private void pass(Duration time) {
        wall.plus(time);
        nanos.addAndGet(time.toNanos());
    }

    @Test
    void agreesWithAWallClockThatRunsOn() {
        for (int i = 1; i <= 1000; i++) {
            pass(Duration.ofMillis(777));
            assertThat(clock.instant()).isEqualTo(START.plusMillis(777L * i));
        }
    }

    @Test
    void aJumpMovesNoDeadlineByMoreThanOnePercent() {
        for (Duration jump : new Duration[] {Duration.ofHours(1), Duration.ofHours(-2), Duration.ofSeconds(-1)}) {
            Instant before = clock.instant();
            wall.plus(jump);
            assertThat(clock.instant()).as("at the jump of %s", jump).isEqualTo(before);
            pass(Duration.ofMinutes(10));
            assertThat(Duration.between(before, clock.instant()))
                    .as("ten minutes after a jump of %s", jump)
                    .isBetween(Duration.ofSeconds(594), Duration.ofSeconds(606));
        }
    }

    @Test
    void followsTheWallClockAndNeverGoesBack() {
        wall.plus(Duration.ofSeconds(-30));
        Instant last = clock.instant();
        for (int i = 0; i < 100; i++) {
            pass(Duration.ofMinutes(1));
            Instant next = clock.instant();
            assertThat(next).isAfter(last);
            last = next;
        }
        assertThat(last).isEqualTo(wall.instant());
    }

    @Test
    void aClockThatIsSetForTheFirstTimeIsBelieved() {
        TestClock unset = new TestClock(Instant.EPOCH);
        SteadyClock late = new SteadyClock(unset, nanos::get);
        unset.plus(Duration.ofDays(20_000));
        assertThat(late.instant()).isEqualTo(unset.instant());
    }
}
