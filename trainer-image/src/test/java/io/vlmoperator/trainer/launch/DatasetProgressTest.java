package io.vlmoperator.trainer.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.DatasetStage;
import io.vlmoperator.api.run.DatasetSummary;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.metric.Progress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the operator hears of a Dataset, with a clock that the test moves. */
class DatasetProgressTest {
    private static final long SECOND = 1_000_000_000L;

    private long now = 5 * SECOND;
    private final List<ProgressReport> heard = new ArrayList<>();
    private final List<String> log = new ArrayList<>();
    private final DatasetProgress progress = new DatasetProgress(
            new Progress() {
                @Override
                public void report(ProgressReport report, boolean urgent) {
                    heard.add(report);
                }

                @Override
                public Set<Long> pins() {
                    return Set.of();
                }

                @Override
                public boolean heardWithin(Duration time) {
                    return true;
                }

                @Override
                public Optional<ProgressAnswer.Command> takeCommand() {
                    return Optional.empty();
                }

                @Override
                public void close() {}
            },
            log::add,
            () -> now);

    private String last() {
        ProgressReport report = heard.getLast();
        return report.stage() + " " + report.done() + "/" + report.total() + " eta " + report.etaSeconds();
    }

    @Test
    void theEndIsForeseenBySpeedAndByStage() {
        progress.stage(DatasetStage.Index);
        progress.shards(40, 100); // done by an earlier attempt
        assertThat(last()).isEqualTo("index 40/100 eta null");
        now += 30 * SECOND;
        progress.shards(50, 100);
        assertThat(last()).isEqualTo("index 50/100 eta 150");
        now += 30 * SECOND;
        progress.shards(100, 100);
        assertThat(last()).isEqualTo("index 100/100 eta 0");
        progress.stage(DatasetStage.Pack);
        progress.shards(1, 100);
        assertThat(last()).as("a stage has a speed of its own").isEqualTo("pack 1/100 eta null");
        progress.finished(new DatasetSummary(1L, 1L, 1L, 1L, 1.0, 1L, "d", "t", List.of(), List.of()));
        assertThat(last()).isEqualTo("pack 100/100 eta 0");
        assertThat(heard.getLast().dataset().samples()).isEqualTo(1);
        assertThat(log).startsWith("stage index", "shard 40 of 100 (40%)").contains("stage pack");
    }

    @Test
    void whileAnythingIsDoneTheLastReportIsRepeatedAndNotOtherwise() {
        progress.stage(DatasetStage.Score);
        progress.shards(0, 4);
        for (int second = 0; second < 65; second++) {
            now += SECOND;
            progress.alive();
        }
        assertThat(heard)
                .hasSize(1 + 3)
                .last()
                .satisfies(report -> assertThat(report.stage()).isEqualTo("score"));
        assertThat(log).hasSize(2);
    }
}
