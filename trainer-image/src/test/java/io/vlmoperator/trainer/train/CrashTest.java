package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.Faults;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that dies at any change to the disk while it saves leaves a whole checkpoint, and the run goes on from it to the same
 * weights. Every change of one save is tried: the parts, the manifest, the deletion of the checkpoint that is kept no longer.
 */
@Timeout(900)
class CrashTest {
    private static final int HANG_DEADLINE_SECONDS = 12;
    private static final String SAVE = "step-%09d".formatted(3);

    @TempDir
    Path folder;

    /** Nothing of the process runs any more. */
    private static final class Died extends Error {
        private static final long serialVersionUID = 1L;
    }

    private TinyRun tiny(String name, int attempt) throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(folder.resolve(name)));
        run.steps = 4;
        run.everySteps = 1;
        run.attempt = attempt;
        return run;
    }

    /** The changes of the third save and of what follows it until the fourth. */
    private static final class Third {
        private final List<String> calls = new ArrayList<>();
        private boolean begun;
        private boolean over;

        /** Whether this change belongs to the save; it is noted then. */
        boolean sees(String call, Path path) {
            begun |= path.toString().contains(SAVE);
            over |= path.toString().contains("step-%09d".formatted(4));
            if (begun && !over) {
                calls.add(call + " " + path.getFileName());
                return true;
            }
            return false;
        }
    }

    @Test
    void whereverASaveBreaksOffAWholeCheckpointIsLeft() throws IOException {
        Third all = new Third();
        TinyRun straight = tiny("straight", 1);
        straight.faults = all::sees;
        straight.train();
        assertThat(all.calls)
                .as("the changes of one save: weights, tokenizer, manifest, and what retention deletes")
                .anyMatch(call -> call.startsWith("write .rank-"))
                .anyMatch(call -> call.startsWith("append .rank-"))
                .anyMatch(call -> call.startsWith("rename rank-"))
                .anyMatch(call -> call.startsWith("force .tokenizer"))
                .anyMatch(call -> call.startsWith("publish manifest-"))
                .anyMatch(call -> call.startsWith("delete manifest"))
                .anyMatch(call -> call.startsWith("delete folder"));
        for (int k = 0; k < all.calls.size(); k++) {
            String name = "crash-" + k;
            String where = "before change " + k + " of " + all.calls;
            TinyRun broken = tiny(name, 1);
            broken.faults = dyingAt(k);
            assertThatThrownBy(broken::train).as(where).isInstanceOf(Died.class);

            RunFolder run = RunFolder.at(broken.run());
            Verifier.Newest newest = Verifier.newestWhole(run);
            assertThat(newest.damaged())
                    .as(where + ": nothing counts that is not whole")
                    .isEmpty();
            boolean published = all.calls.subList(0, k).stream().anyMatch(call -> call.startsWith("publish"));
            assertThat(newest.checkpoint().orElseThrow().step()).as(where).isEqualTo(published ? 3 : 2);
            for (RunFolder.Complete complete : run.complete()) {
                assertThat(Verifier.problem(complete)).as(where).isEmpty();
            }

            TinyRun again = tiny(name, 2);
            again.train();
            assertThat(again.facts.resumedFrom()).as(where).contains(published ? 3L : 2L);
            assertThat(again.losses()).as(where).isEqualTo(straight.losses());
            assertThat(again.weights()).as(where).isEqualTo(straight.weights());
        }
    }

    /** Dies before change k of the save; what was written and not forced by then is lost by half, as a power cut does it. */
    private static Faults dyingAt(int k) {
        Third seen = new Third();
        return (call, path) -> {
            boolean dead = seen.calls.size() > k;
            if (dead || seen.sees(call, path) && seen.calls.size() > k) {
                if (!dead && call.equals("force") && Files.exists(path)) {
                    try (FileChannel torn = FileChannel.open(path, StandardOpenOption.WRITE)) {
                        torn.truncate(torn.size() / 2);
                    }
                }
                throw new Died();
            }
        };
    }

    @Test
    void whicheverChangeFailsTheRunComesBackToTheSameWeights() throws IOException {
        Third all = new Third();
        TinyRun straight = tiny("straight", 1);
        straight.faults = all::sees;
        straight.train();
        for (int k = 0; k < all.calls.size(); k++) {
            String name = "fails-" + k;
            String where = "change " + k + " of " + all.calls;
            TinyRun broken = tiny(name, 1);
            Third seen = new Third();
            int failing = k;
            broken.faults = (call, path) -> {
                if (seen.sees(call, path) && seen.calls.size() == failing + 1) {
                    throw new IOException("No space left on device");
                }
            };
            assertThatThrownBy(broken::train)
                    .as(where)
                    .isInstanceOfSatisfying(
                            TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed))
                    .hasMessageContaining("no space left on the device");
            for (RunFolder.Complete complete : RunFolder.at(broken.run()).complete()) {
                assertThat(Verifier.problem(complete)).as(where).isEmpty();
            }
            TinyRun again = tiny(name, 2);
            again.train();
            assertThat(again.losses()).as(where).isEqualTo(straight.losses());
            assertThat(again.weights()).as(where).isEqualTo(straight.weights());
        }
    }

    /** One call of each kind that does not return: the attempt ends by itself and says where it hung, the next one goes on. */
    @Test
    void aSaveThatHangsEndsAtItsLimitAndTheRunComesBackToTheSameWeights() throws Exception {
        Third all = new Third();
        TinyRun straight = tiny("straight", 1);
        straight.faults = all::sees;
        straight.train();
        Set<String> kinds = new HashSet<>();
        CountDownLatch never = new CountDownLatch(1);
        List<Callable<Void>> tries = new ArrayList<>();
        for (int k = 0; k < all.calls.size(); k++) {
            String call = all.calls.get(k);
            if (!kinds.add(call.substring(0, call.lastIndexOf(' ')))) {
                continue;
            }
            String name = "hangs-" + k;
            int hanging = k;
            boolean published = all.calls.subList(0, k).stream().anyMatch(c -> c.startsWith("publish"));
            tries.add(() -> {
                TinyRun broken = tiny(name, 1);
                broken.stepDeadlineSeconds = HANG_DEADLINE_SECONDS;
                Third seen = new Third();
                broken.faults = (what, path) -> {
                    if (seen.sees(what, path) && seen.calls.size() == hanging + 1) {
                        try {
                            never.await();
                        } catch (InterruptedException e) {
                            throw new IOException("interrupted", e);
                        }
                    }
                };
                assertThatThrownBy(broken::train)
                        .as(call)
                        .isInstanceOfSatisfying(
                                TrainerException.class,
                                e -> assertThat(e.code()).isEqualTo(ExitCode.StepDeadlineExceeded))
                        .hasMessageContaining("saving step 3 in ")
                        .hasMessageContaining("at '" + call + "'");
                assertThat(Verifier.newestWhole(RunFolder.at(broken.run()))
                                .checkpoint()
                                .orElseThrow()
                                .step())
                        .as(call)
                        .isEqualTo(published ? 3 : 2);
                TinyRun again = tiny(name, 2);
                again.train();
                assertThat(again.losses()).as(call).isEqualTo(straight.losses());
                assertThat(again.weights()).as(call).isEqualTo(straight.weights());
                return null;
            });
        }
        assertThat(kinds).contains("write", "append", "force", "rename", "publish", "delete manifest", "delete folder");
        try (var threads = Executors.newCachedThreadPool()) {
            for (Future<Void> each : threads.invokeAll(tries)) {
                each.get();
            }
        }
    }

    @Test
    void aFullDiskIsNamedAndLeavesNoHalfFileBehind() throws IOException {
        TinyRun full = tiny("full", 1);
        full.faults = (call, path) -> {
            if (call.equals("force") && path.toString().contains(SAVE)) {
                throw new IOException("No space left on device");
            }
        };
        assertThatThrownBy(full::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.StorageFailed))
                .hasMessageContaining("no space left on the device")
                .hasMessageContaining("keep fewer checkpoints");
        assertThat(files(full.run().resolve("checkpoints").resolve(SAVE)))
                .as("what was half written would take the room of the next try")
                .isEmpty();
    }

    @Test
    void aReplacedAttemptGivesNoFileItsName() throws IOException {
        TinyRun run = tiny("replaced", 1);
        run.faults = (call, path) -> {
            if (call.equals("rename") && path.toString().contains(SAVE)) {
                RunFolder.at(run.run()).acquire(2, "uid-1", "now");
            }
        };
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Fenced));
        assertThat(files(run.run().resolve("checkpoints").resolve(SAVE))).isEmpty();
    }

    @Test
    void filesThatVanishUnderAReplacedAttemptAreNoFaultOfTheStorage() throws IOException {
        TinyRun run = tiny("vanished", 1);
        run.faults = (call, path) -> {
            if (call.equals("force") && path.toString().contains(SAVE)) {
                RunFolder.at(run.run()).acquire(2, "uid-1", "now");
                Files.delete(path);
            }
        };
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Fenced));
    }

    @Test
    void anOlderCheckpointThatCannotBeReadStopsNobody() throws IOException {
        TinyRun straight = tiny("older", 1);
        straight.train();
        String weights = straight.weights();
        RunFolder run = RunFolder.at(straight.run());
        RunFolder.Complete older = run.complete().getLast();
        assertThat(older.step()).isLessThan(4);
        Files.writeString(older.manifest(), "{\"formatVersion\":");
        TinyRun again = tiny("older", 2);
        again.train();
        assertThat(again.facts.resumedFrom()).contains(4L);
        assertThat(again.facts.warnings()).anyMatch(w -> w.contains("step " + older.step() + " is not listed"));
        assertThat(again.weights()).isEqualTo(weights);
    }

    private static List<String> files(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return List.of();
        }
        try (Stream<Path> all = Files.list(folder)) {
            return all.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
