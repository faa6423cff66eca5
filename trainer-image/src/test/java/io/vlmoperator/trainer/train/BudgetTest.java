package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class BudgetTest {
    private static final long MIB = 1 << 20;

    @TempDir
    Path folder;

    private static Budget budget(long memoryMib, Optional<Long> gpuMib, int processes, long diskMib) {
        return new Budget(
                List.of(
                        new Budget.Row("weights", 100 * MIB, true),
                        new Budget.Row("copy", 30 * MIB, false),
                        new Budget.Row("JVM", 20 * MIB, false)),
                new Budget.Room(memoryMib * MIB, "the container's limit"),
                gpuMib.map(mib -> new Budget.Room(mib * MIB, "a GPU")),
                processes,
                40 * MIB,
                diskMib * MIB);
    }

    private static void refused(Budget budget, String... parts) {
        assertThatThrownBy(budget::require)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.DoesNotFit))
                .hasMessageContainingAll(parts);
    }

    @Test
    void whatIsNeededIsComparedWithWhatIsThere() {
        assertThatCode(budget(150, Optional.empty(), 1, 40)::require).doesNotThrowAnyException();
        refused(budget(149, Optional.empty(), 1, 40), "into memory", "together", "150", "149", "the container's limit");
        refused(budget(299, Optional.empty(), 2, 40), "times 2 processes", "300");
        assertThatCode(budget(300, Optional.empty(), 2, 40)::require).doesNotThrowAnyException();
        refused(budget(150, Optional.empty(), 1, 39), "on the disk", "40 a checkpoint, 39 free");
        assertThatCode(budget(50, Optional.of(100L), 1, 40)::require).doesNotThrowAnyException();
        refused(budget(50, Optional.of(99L), 1, 40), "the GPU's memory", "a GPU");
        refused(budget(49, Optional.of(100L), 1, 40), "into memory");
    }

    @Test
    void aModelThatCannotFitEndsAtOnceWithTheTable() throws IOException {
        TinyRun run = new TinyRun(folder);
        run.intermediateSize = 2_000_000_000;
        assertThatThrownBy(run::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.DoesNotFit))
                .hasMessageContainingAll(
                        "trained weights x 4 B",
                        "their gradients",
                        "their two moments",
                        "copy of the state that is being saved",
                        "JVM and libtorch, so far",
                        "there is (",
                        "activations");
        assertThat(run.log).anyMatch(line -> line.startsWith("memory of a worker"));
    }
}
