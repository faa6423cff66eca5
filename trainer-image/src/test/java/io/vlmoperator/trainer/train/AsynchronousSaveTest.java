package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Manifest;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import io.vlmoperator.trainer.metric.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Saves in flight: training goes on, the next save waits, ends and errors wait for nobody, and all ranks agree. */
@Timeout(600)
class AsynchronousSaveTest {
    private static final String THREE = "step-000000003";
    private static final String SIX = "step-000000006";

    @TempDir
    Path folder;

    private TinyRun tiny(String name, int attempt) throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(folder.resolve(name)));
        run.everySteps = 3;
        run.attempt = attempt;
        return run;
    }

    /** Holds the thread that writes; what never comes is an error of the test, not a hang. */
    private static void until(BooleanSupplier condition) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(200);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("what a save waits for in this test has not come");
            }
            try {
                Thread.sleep(2);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
    }

    private static Path manifest(TinyRun run, String step) {
        return run.run().resolve("checkpoints").resolve(step).resolve("manifest-00001.json");
    }

    @Test
    void trainingGoesOnWhileASlowDiskWritesAndTheNextSaveWaits() throws IOException {
        TinyRun straight = tiny("straight", 1);
        straight.train();
        TinyRun slow = tiny("slow", 1);
        List<Boolean> complete = new ArrayList<>();
        slow.faults = (call, path) -> {
            if (call.equals("force")
                    && path.toString().contains(THREE)
                    && path.toString().contains("rank-")) {
                // Training has to come as far as the step before the next save, with this one unfinished.
                until(() -> slow.facts.step() >= 5);
            }
            if (call.equals("write") && path.toString().contains(SIX) && complete.isEmpty()) {
                complete.add(Files.exists(manifest(slow, THREE)));
            }
        };
        slow.train();
        assertThat(complete)
                .as("step 3 is complete before step 6 begins to be saved")
                .containsExactly(true);
        assertThat(slow.losses()).isEqualTo(straight.losses());
        assertThat(slow.weights())
                .as("a copy is written, not the weights that change meanwhile")
                .isEqualTo(straight.weights());
        assertThat(RunFolder.at(slow.run()).complete())
                .allSatisfy(each -> assertThat(Verifier.problem(each)).isEmpty());
    }

    @Test
    void whatASaveHoldsIsTheStateAtItsStep() throws IOException {
        TinyRun straight = tiny("straight", 1);
        straight.train();
        TinyRun slow = tiny("slow", 1);
        slow.faults = (call, path) -> {
            if (call.equals("append") && path.toString().contains(SIX)) {
                until(() -> slow.facts.step() >= 8);
            }
            if (call.equals("write") && path.toString().contains("step-000000009")) {
                throw new IOException("broken");
            }
        };
        assertThatThrownBy(slow::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed));
        TinyRun again = tiny("slow", 2);
        again.train();
        assertThat(again.facts.resumedFrom()).contains(6L);
        assertThat(again.losses()).isEqualTo(straight.losses());
        assertThat(again.weights()).isEqualTo(straight.weights());
    }

    @Test
    void aSaveThatNeverFinishesIsNoCheckpoint() throws IOException {
        TinyRun straight = tiny("straight", 1);
        straight.train();
        TinyRun broken = tiny("broken", 1);
        broken.faults = (call, path) -> {
            if (path.toString().contains(SIX) && call.equals("force")) {
                until(() -> false);
            }
        };
        // With no time left nobody waits for what is in flight.
        broken.progress = new Watched(() -> {
            if (broken.facts.step() >= 8) {
                broken.stop.request("SIGTERM", Duration.ZERO);
            }
        });
        assertThatThrownBy(broken::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Terminated))
                .hasMessageContaining("steps 4 to 8 will be done again");
        assertThat(manifest(broken, SIX)).doesNotExist();
        TinyRun again = tiny("broken", 2);
        again.train();
        assertThat(again.facts.resumedFrom()).contains(3L);
        assertThat(again.losses()).isEqualTo(straight.losses());
        assertThat(again.weights()).isEqualTo(straight.weights());
    }

    @Test
    void aSignalWaitsForTheSaveInFlightAndSavesTheLastStep() throws IOException {
        TinyRun run = tiny("signal", 1);
        run.progress = new Watched(() -> {
            if (run.facts.step() >= 4) {
                run.stop.request("SIGTERM", Duration.ofMinutes(5));
            }
        });
        run.faults = (call, path) -> {
            if (call.equals("force") && path.toString().contains(THREE)) {
                until(() -> run.stop.requested().isPresent());
            }
        };
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.PreemptedAfterSaving));
        assertThat(RunFolder.at(run.run()).complete())
                .extracting(RunFolder.Complete::step)
                .containsExactly(4L, 3L);
    }

    @Test
    void aSaveThatTakesTooLongEndsTheRun() throws IOException {
        TinyRun run = tiny("late", 1);
        run.steps = 100_000;
        run.everySteps = 50_000;
        run.stepDeadlineSeconds = 10;
        run.stepMillis = 100;
        run.faults = (call, path) -> {
            if (call.equals("force") && path.toString().contains("rank-")) {
                until(() -> false);
            }
        };
        // Saved once, by request.
        run.progress = new Watched(() -> {}) {
            private boolean asked;

            @Override
            public Optional<ProgressAnswer.Command> takeCommand() {
                if (asked) {
                    return Optional.empty();
                }
                asked = true;
                return Optional.of(new ProgressAnswer.Command("1", ProgressAnswer.Action.Save));
            }
        };
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StepDeadlineExceeded))
                .hasMessageContaining("saving step 1 in");
    }

    @Test
    void aRankThatCannotWriteEndsAllAndNothingIsPublished() throws Exception {
        TinyRun run = tiny("two", 1);
        run.faults = (call, path) -> {
            if (call.equals("append")
                    && path.toString().contains(SIX)
                    && path.getFileName().toString().contains("rank-00001")) {
                throw new IOException("No space left on device");
            }
        };
        List<Optional<Throwable>> ends = Ranks.train(run, 2);
        assertThat(ends.get(1).orElseThrow())
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed));
        assertThat(ends.get(0).orElseThrow())
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.PeerLost))
                .hasMessageContaining("worker 1 could not save step 6")
                .hasMessageContaining("no space left");
        assertThat(manifest(run, THREE)).exists();
        assertThat(manifest(run, SIX)).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({"2, 1", "1, 3", "4, 2", "3, 3"})
    void resumesAtAnotherWorldSize(int before, int after) throws Exception {
        TinyRun straight = tiny("straight", 1);
        straight.microSize = 1;
        assertThat(Ranks.train(straight, before == after ? after : 1)).allMatch(Optional::isEmpty);
        TinyRun first = tiny("run", 1);
        first.microSize = 1;
        first.progress = new Watched(() -> {
            if (first.facts.step() >= 8) {
                first.stop.request("enough", Duration.ofMinutes(5));
            }
        });
        assertThat(Ranks.train(first, before))
                .allSatisfy(end -> assertThat(end.orElseThrow())
                        .isInstanceOfSatisfying(
                                TrainerException.class,
                                e -> assertThat(e.code()).isEqualTo(ExitCode.PreemptedAfterSaving)));
        Manifest manifest = RunFolder.at(first.run()).complete().getFirst().read();
        assertThat(manifest.world()).isEqualTo(before);
        assertThat(manifest.step()).isEqualTo(8);
        TinyRun second = tiny("run", 2);
        second.microSize = 1;
        assertThat(Ranks.train(second, after)).allMatch(Optional::isEmpty);
        assertThat(second.facts.resumedFrom()).contains(8L);
        List<String> expected = straight.losses();
        List<String> found = second.losses();
        if (before == after) {
            assertThat(found).as("the same bits at the same world size").isEqualTo(expected);
            assertThat(second.weights()).isEqualTo(straight.weights());
        }
        assertThat(found).hasSize(20).hasSameSizeAs(expected);
        for (int i = 0; i < expected.size(); i++) {
            String[] wanted = expected.get(i).split(":");
            String[] is = found.get(i).split(":");
            assertThat(is[0]).isEqualTo(wanted[0]);
            assertThat(Double.parseDouble(is[1]))
                    .as("loss of step %s", is[0])
                    .isEqualTo(Double.parseDouble(wanted[1]), offset(1e-5));
        }
    }

    /** Looks on whenever a worker asks for commands: before each step. */
    private static class Watched implements Progress {
        private final Runnable look;

        Watched(Runnable look) {
            this.look = look;
        }

        @Override
        public void report(ProgressReport report, boolean now) {}

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
            look.run();
            return Optional.empty();
        }

        @Override
        public void close() {}
    }
}
