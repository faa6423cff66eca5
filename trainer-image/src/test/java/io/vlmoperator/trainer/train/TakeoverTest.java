package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Who goes on where another resource has written is told so. */
@Timeout(300)
class TakeoverTest {
    @TempDir
    Path folder;

    private TinyRun run(int attempt, String uid) throws IOException {
        TinyRun run = new TinyRun(folder);
        run.steps = 4;
        run.attempt = attempt;
        run.uid = uid;
        run.train();
        return run;
    }

    @Test
    void theSameSpecAgainSaysWhoseResultItTakesOver() throws IOException {
        TinyRun first = run(1, "uid-1");
        assertThat(first.log).contains("fresh start");
        assertThat(first.facts.warnings()).isEmpty();
        String from = "resumes after step 4 of attempt 1 in file://" + folder + "/run, written by resource uid uid-1";
        String nothing = "nothing to do: step 4 of 4 is already there, in file://" + folder + "/run";
        TinyRun other = run(2, "uid-2");
        assertThat(other.log).contains(from, nothing);
        assertThat(other.facts.warnings()).anyMatch(w -> w.startsWith(from)).contains(nothing);
        assertThat(other.weights()).isEqualTo(first.weights());
        TinyRun same = run(3, "uid-1");
        assertThat(same.log).contains(from);
        assertThat(same.facts.warnings()).as("a restart takes over nothing").containsExactly(nothing);
    }
}
