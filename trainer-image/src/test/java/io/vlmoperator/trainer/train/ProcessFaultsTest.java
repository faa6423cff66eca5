package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two worker processes that are killed, frozen or terminated: the run always ends with the very same loss curve and weights. */
@Timeout(1800)
class ProcessFaultsTest {
    private static final int KILLS = Integer.getInteger("vlm.kills", 10);
    private static final Pattern LOST = Pattern.compile("too little time is left to save, steps (\\d+) to (\\d+) will");
    private static final int KILLED = 137;
    private static final int PEER_LOST = 162;
    private static final int COLLECTIVE_TIMEOUT = 161;
    private static final int SAVED = 160;
    private static final int TERMINATED = 143;
    private static final int PATIENT = 300;
    private static final int IMPATIENT = 20;
    private static final int GRACE = 120_000;

    @TempDir
    Path root;

    @TempDir
    Path reference;

    private TinyRun straight;

    @BeforeEach
    void undisturbed() throws IOException, InterruptedException {
        straight = TinyWorker.tiny(reference);
        assertThat(Ranks.train(straight, TinyWorker.WORLD)).allMatch(Optional::isEmpty);
    }

    private enum End {
        KILL,
        FREEZE,
        TERMINATE,
        HURRY
    }

    @Test
    void oneRunThroughEveryKindOfEnd() throws Exception {
        long seed = Long.getLong("vlm.seed", System.nanoTime());
        String what = "seed " + seed + " (-Dvlm.seed)";
        System.out.println("ProcessFaultsTest: " + KILLS + " kills, " + what);
        Random random = new Random(seed);
        List<End> ends = new ArrayList<>(Collections.nCopies(KILLS, End.KILL));
        ends.addAll(List.of(End.FREEZE, End.TERMINATE, End.HURRY));
        Collections.shuffle(ends, random);
        for (int attempt = 1; attempt <= ends.size(); attempt++) {
            // So many steps that no attempt had done before.
            int step = TinyWorker.steps(root) + 1 + random.nextInt(5);
            switch (ends.get(attempt - 1)) {
                case KILL -> kill(attempt, step, random);
                case FREEZE -> freeze(attempt, step);
                case TERMINATE -> terminate(attempt, step, random.nextInt(TinyWorker.WORLD));
                case HURRY -> hurry(attempt, step, random.nextInt(TinyWorker.WORLD));
            }
            RunFolder run = RunFolder.at(root.resolve("run"));
            if (Files.isDirectory(run.path().resolve("checkpoints"))) {
                assertThat(Verifier.newestWhole(run).damaged())
                        .as("%s, behind attempt %d: %s", what, attempt, ends)
                        .isEmpty();
            }
        }
        try (TinyWorker last = TinyWorker.start(root, ends.size() + 1, PATIENT, GRACE)) {
            assertThat(last.awaitEnd()).as("%s%n%s", what, last.logs()).containsExactly(0, 0);
        }
        TinyRun run = TinyWorker.tiny(root);
        assertThat(run.losses()).as("%s, %s", what, ends).isEqualTo(straight.losses());
        assertThat(run.weights()).as("%s, %s", what, ends).isEqualTo(straight.weights());
    }

    private void kill(int attempt, int step, Random random) throws Exception {
        int victim = random.nextInt(TinyWorker.WORLD + 1);
        // Now and then while the ranks still look for each other.
        boolean early = random.nextInt(5) == 0;
        try (TinyWorker workers = TinyWorker.start(root, attempt, PATIENT, GRACE)) {
            if (!early) {
                workers.awaitStep(step);
            }
            Thread.sleep(random.nextInt(40));
            for (int rank = 0; rank < TinyWorker.WORLD; rank++) {
                if (victim == rank || victim == TinyWorker.WORLD) {
                    workers.kill(rank);
                }
            }
            if (early) {
                return; // whoever waits for a rank that never comes waits as long as it may
            }
            assertThat(workers.awaitEnd())
                    .as("attempt %d%n%s", attempt, workers.logs())
                    .allMatch(code -> code == KILLED || code == PEER_LOST);
        }
    }

    private void freeze(int attempt, int step) throws Exception {
        try (TinyWorker workers = TinyWorker.start(root, attempt, IMPATIENT, GRACE)) {
            workers.awaitStep(step);
            workers.signal(1, "STOP");
            assertThat(workers.awaitEnd(0)).as(workers.logs()).isEqualTo(COLLECTIVE_TIMEOUT);
            assertThat(workers.logs())
                    .contains("waited " + IMPATIENT + " s for rank 1")
                    .containsPattern("this worker is in step \\d+, .* for \\d+\\.\\d s; all workers finished step \\d+")
                    .containsPattern("waited for: rank 1 \\(step \\d+, .*, then nothing was heard for \\d+\\.\\d s\\)");
        }
    }

    private void terminate(int attempt, int step, int rank) throws Exception {
        try (TinyWorker workers = TinyWorker.start(root, attempt, PATIENT, GRACE)) {
            workers.awaitStep(step);
            workers.signal(rank, "TERM");
            assertThat(workers.awaitEnd()).as(workers.logs()).containsExactly(SAVED, SAVED);
            assertThat(workers.logs()).contains("SIGTERM").contains("no completed step is lost");
        }
        assertThat(saved()).as("the last completed step").isEqualTo(TinyWorker.steps(root));
    }

    /** No time to save: nothing partial is left, and the steps that are lost are named. */
    private void hurry(int attempt, int step, int rank) throws Exception {
        try (TinyWorker workers = TinyWorker.start(root, attempt, PATIENT, 1)) {
            workers.awaitStep(step);
            workers.signal(rank, "TERM");
            List<Integer> codes = workers.awaitEnd();
            if (codes.equals(List.of(SAVED, SAVED))) {
                // The signal struck right behind a save that had become complete by itself.
                assertThat(saved()).as(workers.logs()).isEqualTo(TinyWorker.steps(root));
                return;
            }
            assertThat(codes).as(workers.logs()).containsExactly(TERMINATED, TERMINATED);
            // A save that was under way may have become complete after all: then fewer are lost than it says.
            Matcher lost = LOST.matcher(workers.logs());
            assertThat(lost.find()).as(workers.logs()).isTrue();
            assertThat(Long.parseLong(lost.group(1))).isBetween(1L, saved() + 1);
            assertThat(Long.parseLong(lost.group(2))).isEqualTo(TinyWorker.steps(root));
        }
    }

    private long saved() throws IOException {
        return Verifier.newestWhole(RunFolder.at(root.resolve("run")))
                .checkpoint()
                .map(RunFolder.Complete::step)
                .orElse(0L);
    }
}
