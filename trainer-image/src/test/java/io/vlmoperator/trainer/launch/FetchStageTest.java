package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.fetch.Fetches;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the other pods wait for pod 0's download; their clock goes as fast as they look. */
class FetchStageTest {
    private static final Duration PATIENCE = Duration.ofMinutes(30);

    @TempDir
    Path to;

    private Fetch fetch;
    private long now = Long.MAX_VALUE - 1_000; // such clocks begin anywhere
    private int looks;

    @BeforeEach
    void name() {
        fetch = new Fetch(
                Locations.fileLocation(to), new Fetch.HuggingFace("team/tiny", null, null, List.of()), null, null);
    }

    private void await(IntConsumer meanwhile) {
        Fetches fetches = Fetches.of(Locations.of(Map.of()), Map.of(), line -> {});
        new FetchStage(fetches, PATIENCE, () -> now, time -> {
                    now += time.toNanos();
                    assertThat(++looks).as("it waits for ever").isLessThan(10_000);
                    meanwhile.accept(looks);
                })
                .run(List.of(fetch), 1);
    }

    private void news(long beat) {
        write(
                "fetching/progress.json",
                "{\"run\":\"r\",\"beat\":" + beat + ",\"progress\":{\"source\":\"s\","
                        + "\"filesDone\":3,\"filesTotal\":9,\"bytesDone\":5242880,\"bytesTotal\":10485760,\"percent\":50}}");
    }

    private void done() {
        write(
                "fetched.json",
                "{\"formatVersion\":1,\"entry\":\"" + Json.digest(fetch) + "\",\"source\":\"s\",\"files\":[]}");
    }

    private void write(String name, String text) {
        try {
            Files.createDirectories(to.resolve(name).getParent());
            Files.writeString(to.resolve(name), text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void assertLost(String... words) {
        assertThatThrownBy(() -> await(look -> {})).isInstanceOfSatisfying(TrainerException.class, e -> {
            assertThat(e.code()).isEqualTo(ExitCode.PeerLost);
            assertThat(e.getMessage()).contains("pod 0").contains(words);
        });
        assertThat(looks).isBetween(360, 365);
    }

    @Test
    void aDownloadMayTakeAsLongAsItWantsWhileSomethingIsDone() {
        await(look -> {
            if (look == 2_000) {
                done();
            } else if (look % 300 == 0) {
                news(look);
            }
        });
        assertThat(looks).isEqualTo(2_000);
    }

    @Test
    void aPod0ThatIsNeverHeardOfIsAnError() {
        assertLost("1800 s", "last heard: nothing");
    }

    @Test
    void newsThatStayTheSameAreNoNews() {
        news(7);
        assertLost("1800 s", "3 of 9 files, 5 of 10 MiB", "what has come is kept");
    }
}
