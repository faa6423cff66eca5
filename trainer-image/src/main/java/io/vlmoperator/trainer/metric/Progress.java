package io.vlmoperator.trainer.metric;

import io.vlmoperator.api.run.ProgressAnswer;
import io.vlmoperator.api.run.ProgressReport;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/** Where reports go. Nothing here ever blocks or fails the caller. */
public interface Progress extends AutoCloseable {
    /**
     * Hands over the newest report; one that has not been sent yet is replaced. {@code uid}, {@code attempt} and {@code sequence} are
     * filled in by the sender.
     *
     * @param now send it at once, because something happened; otherwise when the interval has passed
     */
    void report(ProgressReport report, boolean now);

    /** Steps that something refers to, by the newest answer. */
    Set<Long> pins();

    /** Whether an answer came within the time; always true where nobody is asked. */
    boolean heardWithin(Duration time);

    /** A command that has not been taken yet. */
    Optional<ProgressAnswer.Command> takeCommand();

    /** Sends what is left, waiting a few seconds at most. */
    @Override
    void close();

    /** Tells nobody. */
    Progress NONE = new Progress() {
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
            return Optional.empty();
        }

        @Override
        public void close() {}
    };
}
