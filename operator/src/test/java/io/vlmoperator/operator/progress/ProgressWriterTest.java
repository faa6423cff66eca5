package io.vlmoperator.operator.progress;

import static io.vlmoperator.operator.Fixtures.PRETRAIN;
import static io.vlmoperator.operator.Fixtures.T0;
import static io.vlmoperator.operator.Fixtures.checkpoint;
import static io.vlmoperator.operator.Fixtures.report;
import static io.vlmoperator.operator.Fixtures.subject;
import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.api.status.FetchProgress;
import io.vlmoperator.api.status.Limits;
import io.vlmoperator.api.status.Progress;
import io.vlmoperator.operator.TestClock;
import io.vlmoperator.operator.status.StatusCodec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ProgressWriterTest {
    private final TestClock clock = new TestClock(T0);
    private final List<String> written = new ArrayList<>();
    private final List<Progress> progresses = new ArrayList<>();
    private boolean leads = true;
    private final ProgressWriter writer = new ProgressWriter(
            (subject, progress) -> {
                progresses.add(progress);
                written.add(subject.uid() + "@" + progress.step());
                if (subject.uid().equals("broken")) {
                    throw new IllegalStateException("the server is away");
                }
            },
            clock,
            () -> leads);

    private void offer(String uid, long step) {
        writer.offer(subject(PRETRAIN.replace("uid: u-1", "uid: " + uid)), report(uid, 1, step, step), clock.instant());
    }

    @Test
    void oneWriteAResourceInFifteenSecondsAndTheNewestWins() {
        offer("a", 1);
        writer.tick();
        offer("a", 2);
        offer("a", 3);
        clock.plus(ProgressWriter.PAUSE.minusMillis(1));
        writer.tick();
        assertThat(written).containsExactly("a@1");
        clock.plus(Duration.ofMillis(1));
        writer.tick();
        writer.tick();
        assertThat(written).containsExactly("a@1", "a@3");
    }

    @Test
    void allTakeTurnsAtThreeATickAndABrokenOneHoldsNobodyUp() {
        for (String uid : List.of("a", "broken", "c", "d")) {
            offer(uid, 1);
        }
        writer.tick();
        assertThat(written).containsExactly("a@1", "broken@1", "c@1");
        offer("a", 2);
        clock.plus(ProgressWriter.PAUSE);
        writer.tick();
        assertThat(written).endsWith("d@1", "a@2");
        assertThat(1000 / ProgressWriter.TICK_MILLIS * ProgressWriter.WRITES_PER_TICK)
                .isEqualTo(30);
    }

    @Test
    void theEndOfAnAttemptIsWrittenAtOnce() {
        offer("a", 1);
        writer.tick();
        offer("a", 2);
        writer.flush("a");
        writer.tick();
        assertThat(written).containsExactly("a@1", "a@2");
    }

    @Test
    void onlyAReplicaThatDoesNotLeadPutsTheCheckpointIntoTheStatus() {
        writer.offer(subject(PRETRAIN), report("u-1", 1, 1, 150, checkpoint(100)), clock.instant());
        writer.tick();
        leads = false;
        clock.plus(ProgressWriter.PAUSE);
        writer.offer(subject(PRETRAIN), report("u-1", 1, 2, 250, checkpoint(200), checkpoint(100)), clock.instant());
        writer.tick();
        assertThat(progresses.getFirst().checkpoint()).isNull();
        assertThat(progresses.getLast().checkpoint()).isEqualTo(checkpoint(200));
    }

    @Test
    void aDownloadIsToldWithASourceOfBoundedLength() {
        ProgressReport report = new ProgressReport(
                "u-1",
                1,
                1L,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                90L,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                new FetchProgress("s".repeat(5_000), 1L, 4L, 1L << 40, 4L << 40, 25),
                "fetch");
        Progress progress = ProgressWriter.progress(report, T0, true);
        assertThat(progress.etaSeconds()).isEqualTo(90);
        assertThat(progress.stage()).isEqualTo("fetch");
        assertThat(progress.fetch().source()).hasSizeLessThanOrEqualTo(Limits.SUMMARY);
        assertThat(progress.fetch())
                .isEqualTo(new FetchProgress(progress.fetch().source(), 1L, 4L, 1L << 40, 4L << 40, 25));
        assertThat(StatusCodec.json().convertValue(progress, Map.class))
                .as("a report that is about something else takes the fields away")
                .containsKey("fetch");
        ProgressReport after = new ProgressReport(
                "u-1", 1, 2L, null, null, 1L, 9L, null, null, null, null, null, null, null, null, null, null, null,
                null, null, null, null, null);
        assertThat(StatusCodec.json().convertValue(ProgressWriter.progress(after, T0, true), Map.class))
                .doesNotContainKey("fetch");
    }
}
