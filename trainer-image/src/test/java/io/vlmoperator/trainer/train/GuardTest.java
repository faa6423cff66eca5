package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Failure;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Data that make a loss infinite or high, in runs of a tiny model: nothing of it reaches the weights, and resuming stays exact. */
@Timeout(300)
class GuardTest {
    private static final String SKIP = "{\"nonFinite\":{\"action\":\"Skip\"}}";
    private static final String REWIND = "{\"nonFinite\":{\"action\":\"Rewind\"}}";
    private static final String SPIKE =
            "{\"lossSpike\":{\"window\":8,\"zScore\":4,\"action\":\"ACTION\",\"atMost\":1}}";

    @TempDir
    Path folder;

    /** Ends the process, as far as its files are concerned. */
    private static final class Died extends Error {
        private static final long serialVersionUID = 1L;
    }

    private TinyRun tiny(String name, String failure, Set<Long> poisonedSteps) throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(folder.resolve(name)));
        run.everySteps = 5;
        run.failure = failure;
        run.poison = new TinyRun.Poison(poisonedSteps, Set.of());
        return run;
    }

    private static String line(TinyRun run, long step) throws IOException {
        return Files.readAllLines(run.run().resolve("metrics.jsonl")).get(Math.toIntExact(step - 1));
    }

    private static Manifest manifest(TinyRun run, long step) throws IOException {
        return RunFolder.at(run.run()).complete(step).orElseThrow().read();
    }

    private static void assertStops(TinyRun run, String... said) {
        assertThatThrownBy(run::train).isInstanceOfSatisfying(TrainerException.class, e -> {
            assertThat(e.code()).isEqualTo(ExitCode.NonFinite);
            assertThat(e).hasMessageContainingAll(said);
        });
    }

    @Test
    void theDefaultIsToStopBeforeAnythingIsChanged() throws IOException {
        TinyRun run = tiny("stop", "{}", Set.of(7L));
        assertStops(run, "step 8: loss NaN", "the weights were not changed");
        assertThat(manifest(run, 5).guarded()).isNull();
    }

    @Test
    void aSkippedStepLeavesWeightsAndMomentsAsTheyWere() throws IOException {
        TinyRun run = tiny("skip", SKIP, Set.of(7L));
        run.everySteps = 1;
        run.steps = 8;
        run.train();
        Manifest before = manifest(run, 7);
        Manifest after = manifest(run, 8);
        assertThat(after.files()).as("parts, by digest").containsExactlyElementsOf(before.files());
        assertThat(after.tokens()).isEqualTo(before.tokens());
        assertThat(after.loss()).isNull();
        assertThat(before.guarded()).isNull();
        assertThat(after.guarded()).isEqualTo(new Manifest.Guarded(1, 0, List.of(new Manifest.Range(8, 8)), List.of()));
        assertThat(line(run, 8)).contains("\"skipped\":\"NonFinite\"").doesNotContain("NaN");
        assertThat(line(run, 7)).doesNotContain("skipped");
        assertThat(run.facts.skippedSteps()).isOne();
        assertThat(run.facts.warnings()).anyMatch(w -> w.startsWith("step 8: loss NaN") && w.endsWith("was skipped"));
    }

    @Test
    void aResumedRunSkipsAsTheUndisturbedOneDoes() throws IOException {
        TinyRun straight = tiny("straight", SKIP, Set.of(6L, 13L, 14L));
        straight.train();
        TinyRun broken = tiny("broken", SKIP, Set.of(6L, 13L, 14L));
        broken.faults = (call, path) -> {
            if (path.toString().contains("step-%09d".formatted(15))) {
                throw new Died();
            }
        };
        assertThatThrownBy(broken::train).isInstanceOf(Died.class);
        TinyRun again = tiny("broken", SKIP, Set.of(6L, 13L, 14L));
        again.attempt = 2;
        again.train();
        assertThat(again.facts.resumedFrom()).contains(10L);
        assertThat(again.weights()).isEqualTo(straight.weights());
        assertThat(manifest(again, 20).guarded())
                .isEqualTo(manifest(straight, 20).guarded())
                .isEqualTo(new Manifest.Guarded(
                        3, 0, List.of(new Manifest.Range(7, 7), new Manifest.Range(14, 15)), List.of()));
    }

    @Test
    void theBoundEndsTheRun() throws IOException {
        String rule = "{\"nonFinite\":{\"action\":\"Skip\",\"atMost\":2}}";
        assertStops(tiny("bound", rule, Set.of(2L, 3L, 6L)), "step 7: loss NaN", "2 such steps came before it");
        String back = "{\"nonFinite\":{\"action\":\"Rewind\",\"atMost\":2}}";
        // All three go back to the same checkpoint: the bound counts them all the same.
        assertStops(tiny("back", back, Set.of(5L, 6L, 7L)), "step 8: loss NaN", "2 such steps came before it");
    }

    @Test
    void rewindingIsAsIfTheStepsSinceTheCheckpointHadAllBeenSkipped() throws IOException {
        TinyRun skipped = tiny("skipped", SKIP, Set.of(10L, 11L, 12L));
        skipped.train();
        TinyRun rewound = tiny("rewound", REWIND, Set.of(12L));
        rewound.train();
        assertThat(rewound.weights()).isEqualTo(skipped.weights());
        Manifest last = manifest(rewound, 15);
        assertThat(last.guarded())
                .isEqualTo(new Manifest.Guarded(1, 0, List.of(new Manifest.Range(11, 13)), List.of()));
        assertThat(last.tokens()).isEqualTo(manifest(skipped, 15).tokens());
        assertThat(line(rewound, 13)).contains("\"rewoundTo\":10").contains("\"skipped\":\"NonFinite\"");
        assertThat(rewound.facts.skippedSteps()).isEqualTo(3);
    }

    @Test
    void nothingToRewindTo() throws IOException {
        assertStops(tiny("none", REWIND, Set.of(3L)), "step 4: loss NaN", "no checkpoint yet to rewind to");
    }

    /** The poisoned row is the last rank's: the others hear of it by the norm alone. */
    @ParameterizedTest
    @ValueSource(strings = {SKIP, REWIND})
    void allRanksDecideAlike(String failure) throws Exception {
        TinyRun one = tiny("one", failure, Set.of(12L));
        one.microSize = 8;
        one.train();
        TinyRun two = tiny("two", failure, Set.of(12L));
        two.microSize = 4;
        assertThat(Ranks.train(two, 2)).allMatch(Optional::isEmpty);
        assertThat(manifest(two, 20).guarded()).isEqualTo(manifest(one, 20).guarded());
        assertThat(line(two, 13)).contains("\"skipped\":\"NonFinite\"");
    }

    private TinyRun spiked(String name, String action, Set<Long> steps) throws IOException {
        TinyRun run = tiny(name, SPIKE.replace("ACTION", action), Set.of());
        run.poison = new TinyRun.Poison(Set.of(), steps);
        run.steps = 40;
        return run;
    }

    @Test
    void aLossSpikeIsReportedAndCounts() throws IOException {
        TinyRun silent = spiked("silent", "Report", Set.of(33L));
        silent.failure = "{}";
        silent.train();
        TinyRun run = spiked("report", "Report", Set.of(33L));
        run.train();
        assertThat(run.weights()).as("watching changes nothing").isEqualTo(silent.weights());
        assertThat(run.facts.warnings())
                .anyMatch(w -> w.startsWith("step 34: loss ") && w.contains("standard deviations above"));
        assertThat(run.facts.skippedSteps()).isZero();
        assertThat(manifest(run, 40).guarded().losses()).hasSize(8);
    }

    @Test
    void aSkippedSpikeChangesNothingAlsoAfterAResume() throws IOException {
        TinyRun straight = spiked("straight", "Skip", Set.of(33L));
        straight.train();
        assertThat(line(straight, 34)).contains("\"skipped\":\"LossSpike\"");
        assertThat(manifest(straight, 35).guarded().skipped()).containsExactly(new Manifest.Range(34, 34));
        TinyRun broken = spiked("broken", "Skip", Set.of(33L));
        broken.faults = (call, path) -> {
            if (path.toString().contains("step-%09d".formatted(35))) {
                throw new Died();
            }
        };
        assertThatThrownBy(broken::train).isInstanceOf(Died.class);
        TinyRun again = spiked("broken", "Skip", Set.of(33L));
        again.attempt = 2;
        again.train();
        assertThat(again.facts.resumedFrom()).contains(30L);
        assertThat(again.losses()).isEqualTo(straight.losses());
        assertThat(again.weights()).isEqualTo(straight.weights());
        assertThat(manifest(again, 40).guarded())
                .isEqualTo(manifest(straight, 40).guarded());
    }

    @Test
    void aWindowThatIsNotHalfFullJudgesNothingAndEqualLossesAreNoSpike() {
        Failure failure =
                new Failure(null, null, null, null, null, null, null, new Failure.LossSpike(8, 3.0, null, null));
        Guard guard = new Guard(failure, Optional.empty());
        assertThat(guard.judge(1, 1, 1)).isEqualTo(new Guard.Verdict.Update(Optional.empty()));
        assertThat(guard.judge(2, 100, 1)).isEqualTo(new Guard.Verdict.Update(Optional.empty()));
        for (int step = 3; step < 20; step++) {
            assertThat(guard.judge(step, 2, 1))
                    .as("step %d", step)
                    .isEqualTo(new Guard.Verdict.Update(Optional.empty()));
        }
        assertThat(guard.judge(20, 2 + 1e-9, 1)).isEqualTo(new Guard.Verdict.Update(Optional.empty()));
        assertThat(guard.judge(21, 2.1, 1))
                .isInstanceOfSatisfying(
                        Guard.Verdict.Update.class,
                        update -> assertThat(update.spike()).isPresent());
        assertThat(guard.state().orElseThrow().losses()).hasSize(8);
    }

    @Test
    void anInfiniteNormCountsAsTheLossDoes() {
        Failure failure = new Failure(
                null, null, null, null, null, null, new Failure.NonFinite(Failure.NonFinite.Action.Skip, 1), null);
        Guard guard = new Guard(failure, Optional.empty());
        assertThat(guard.judge(1, 2, Double.POSITIVE_INFINITY)).isInstanceOf(Guard.Verdict.Skip.class);
        assertThat(guard.skippedSteps()).isOne();
        assertThatThrownBy(() -> guard.judge(2, 2, Double.NaN))
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.NonFinite));
        // From a manifest the bound goes on where it was.
        Guard resumed = new Guard(failure, guard.state());
        assertThatThrownBy(() -> resumed.judge(3, Double.NaN, 1)).hasMessageContaining("atMost is 1");
    }
}
