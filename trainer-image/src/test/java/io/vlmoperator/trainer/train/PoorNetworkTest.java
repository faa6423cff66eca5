package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.ProxiedRings;
import io.vlmoperator.trainer.dist.ProxiedRings.Network;
import io.vlmoperator.trainer.metric.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Training over connections that are cut, fall silent, and deliver late and in crumbs: later attempts end with the very same weights. */
@Timeout(900)
class PoorNetworkTest {
    private static final Duration PATIENT = Duration.ofMinutes(5);
    private static final Duration IMPATIENT = Duration.ofSeconds(8);

    @TempDir
    Path folder;

    private TinyRun tiny(String name, int attempt) throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(folder.resolve(name)));
        run.steps = 12;
        run.everySteps = 2;
        run.attempt = attempt;
        return run;
    }

    /** What each rank threw; the network becomes another one before the step after {@code step}. */
    private List<Optional<TrainerException>> train(
            int attempt, Duration limit, long step, Network network, ProxiedRings rings) throws Exception {
        List<Optional<TrainerException>> ends = new ArrayList<>();
        try (var threads = Executors.newCachedThreadPool()) {
            List<Future<?>> all = new ArrayList<>();
            for (int r = 0; r < 2; r++) {
                int rank = r;
                TinyRun run = tiny("run", attempt);
                if (rank == 0) {
                    run.progress = new AtStep(run.facts, step, () -> rings.become(network));
                }
                all.add(threads.submit(() -> {
                    try (Communicator ring = rings.rank(rank)) {
                        run.train(run.job(2), ring);
                    }
                    return null;
                }));
            }
            for (Future<?> one : all) {
                try {
                    one.get(limit.plus(PATIENT).toSeconds(), TimeUnit.SECONDS);
                    ends.add(Optional.empty());
                } catch (ExecutionException e) {
                    assertThat(e.getCause()).isInstanceOf(TrainerException.class);
                    ends.add(Optional.of((TrainerException) e.getCause()));
                }
            }
        }
        return ends;
    }

    @Test
    void whateverTheNetworkDoesTheRunComesBackToTheSameWeights() throws Exception {
        TinyRun straight = tiny("straight", 1);
        assertThat(Ranks.train(straight, 2)).allMatch(Optional::isEmpty);

        try (ProxiedRings cut = new ProxiedRings(PATIENT, 1)) {
            assertThat(train(1, PATIENT, 4, Network.CUT, cut))
                    .allSatisfy(end -> assertThat(end.orElseThrow().code())
                            .as(end.orElseThrow().getMessage())
                            .isEqualTo(ExitCode.PeerLost));
        }
        try (ProxiedRings silent = new ProxiedRings(IMPATIENT, 2)) {
            List<Optional<TrainerException>> ends = train(2, IMPATIENT, 7, Network.SILENT, silent);
            assertThat(ends)
                    .allSatisfy(end -> assertThat(end.orElseThrow().code())
                            .as(end.orElseThrow().getMessage())
                            .isIn(ExitCode.CollectiveTimeout, ExitCode.PeerLost));
            assertThat(ends)
                    .anySatisfy(end -> assertThat(end.orElseThrow().code()).isEqualTo(ExitCode.CollectiveTimeout));
        }
        try (ProxiedRings poor = new ProxiedRings(PATIENT, 3)) {
            assertThat(train(3, PATIENT, 6, Network.POOR, poor)).allMatch(Optional::isEmpty);
            assertThat(poor.singles()).as("pieces of one byte").isGreaterThan(100);
            assertThat(poor.pauses()).isPositive();
        }

        TinyRun run = tiny("run", 4);
        assertThat(run.losses()).isEqualTo(straight.losses());
        assertThat(run.weights()).isEqualTo(straight.weights());
    }

    /** Does something once, before the step that follows {@code step}. */
    private static final class AtStep implements Progress {
        private final RunFacts facts;
        private final long step;
        private final Runnable action;
        private boolean done;

        AtStep(RunFacts facts, long step, Runnable action) {
            this.facts = facts;
            this.step = step;
            this.action = action;
        }

        @Override
        public Optional<ProgressAnswer.Command> takeCommand() {
            if (!done && facts.step() >= step) {
                done = true;
                action.run();
            }
            return Optional.empty();
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
        public void close() {}
    }
}
