package io.vlmoperator.trainer.fetch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.status.FetchProgress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class FetchMeterTest {
    private record Told(FetchProgress progress, Optional<Long> eta) {}

    private final List<Told> told = new ArrayList<>();
    private long now = -5; // such clocks begin anywhere

    private FetchMeter meter(OptionalLong... sizes) {
        List<RemoteFile> files = new ArrayList<>();
        for (OptionalLong size : sizes) {
            files.add(new RemoteFile("f" + files.size(), size, Optional.empty(), from -> null));
        }
        return new FetchMeter(
                new FetchList("a/b@c", files),
                Duration.ofSeconds(10),
                () -> now,
                (progress, eta) -> told.add(new Told(progress, eta)));
    }

    private void after(int seconds) {
        now += Duration.ofSeconds(seconds).toNanos();
    }

    private static FetchProgress far(long files, long filesTotal, long bytes, Long total, Integer percent) {
        return new FetchProgress("a/b@c", files, filesTotal, bytes, total, percent);
    }

    @Test
    void theSpeedIsThatOfWhatCameNowAndNotOfWhatWasThere() {
        FetchMeter meter = meter(OptionalLong.of(600), OptionalLong.of(400));
        meter.found(500);
        after(9);
        meter.came(50);
        assertThat(told).as("not yet ten seconds").isEmpty();
        after(1);
        meter.came(50);
        assertThat(told).containsExactly(new Told(far(0, 2, 600, 1000L, 60), Optional.of(40L)));
        after(10);
        meter.worked();
        assertThat(told.getLast()).isEqualTo(new Told(far(0, 2, 600, 1000L, 60), Optional.of(80L)));
        meter.file();
        meter.came(400);
        meter.file();
        assertThat(told.getLast()).isEqualTo(new Told(far(2, 2, 1000, 1000L, 100), Optional.of(0L)));
        assertThat(told).hasSize(3);
    }

    @Test
    void oneHundredPercentIsSaidAtTheEndOnlyAndBytesThrownAwayAreTakenBack() {
        FetchMeter meter = meter(OptionalLong.of(10));
        after(10);
        meter.came(10);
        assertThat(told.getLast().progress()).isEqualTo(far(0, 1, 10, 10L, 99));
        after(10);
        meter.found(-10);
        assertThat(told.getLast()).isEqualTo(new Told(far(0, 1, 0, 10L, 0), Optional.of(20L)));
    }

    @Test
    void aTotalIsSaidOnceEverySizeIsKnown() {
        FetchMeter meter = meter(OptionalLong.of(10), OptionalLong.empty());
        after(10);
        meter.came(5);
        assertThat(told.getLast()).isEqualTo(new Told(far(0, 2, 5, null, null), Optional.empty()));
        meter.size(30);
        after(10);
        meter.came(5);
        assertThat(told.getLast()).isEqualTo(new Told(far(0, 2, 10, 40L, 25), Optional.of(60L)));
    }

    @Test
    void emptyFilesHaveNoShare() {
        FetchMeter meter = meter(OptionalLong.of(0));
        meter.file();
        assertThat(told).containsExactly(new Told(far(1, 1, 0, 0L, null), Optional.empty()));
    }
}
