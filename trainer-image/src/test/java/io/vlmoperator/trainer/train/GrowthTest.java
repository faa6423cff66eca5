package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import io.vlmoperator.trainer.metric.Progress;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A long run of small steps with saves leaves nothing behind: no native handle, no memory, no objects. It counts, no clock decides.
 * {@code make soak-growth} takes 10,000 steps.
 */
@Timeout(3600)
class GrowthTest {
    private static final int STEPS = Integer.getInteger("vlm.growth.steps", 1000);
    private static final long MIB = 1 << 20;

    @TempDir
    Path folder;

    private record Held(long step, long tensors, long residentMib, long heapMib) {}

    @Test
    void stepsLeaveNothingBehind() throws IOException {
        TinyRun run = new TinyRun(folder);
        run.steps = STEPS;
        run.everySteps = STEPS / 10;
        run.microSize = 8;
        List<Held> held = new ArrayList<>();
        run.progress = new Progress() {
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
                long step = run.facts.step();
                // Compilers, caches and the first saves are behind at three tenths.
                if ((held.isEmpty() && step >= STEPS * 3 / 10) || (held.size() == 1 && step == STEPS - 1)) {
                    held.add(measure(step));
                }
                return Optional.empty();
            }

            @Override
            public void close() {}
        };
        run.train();
        assertThat(held).hasSize(2);
        Held early = held.getFirst();
        Held late = held.getLast();
        assertThat(late.tensors()).as("native handles of libtorch: %s", held).isEqualTo(early.tensors());
        assertThat(late.heapMib()).as("Java heap in use: %s", held).isLessThan(early.heapMib() + 16);
        assertThat(late.residentMib()).as("resident set: %s", held).isLessThan(early.residentMib() + 100);
    }

    private static Held measure(long step) {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        Runtime runtime = Runtime.getRuntime();
        try {
            return new Held(
                    step,
                    Torch.start().liveTensors(),
                    Budget.residentBytes() / MIB,
                    (runtime.totalMemory() - runtime.freeMemory()) / MIB);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
