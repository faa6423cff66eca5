package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.fetch.Fetches;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;

/** The first part of a Dataset's work: pod 0 brings what the spec names, the others wait for it. */
final class FetchStage {
    private static final Duration LOOK_EVERY = Duration.ofSeconds(5);

    private final Fetches fetches;
    private final Duration patience;
    private final LongSupplier nanos;
    private final Pause pause;

    /** How somebody waits. */
    interface Pause {
        void of(Duration time) throws InterruptedException;
    }

    /** @param patience how long the others wait without any news of pod 0 */
    FetchStage(Fetches fetches, Duration patience) {
        this(fetches, patience, System::nanoTime, Thread::sleep);
    }

    FetchStage(Fetches fetches, Duration patience, LongSupplier nanos, Pause pause) {
        this.fetches = fetches;
        this.patience = patience;
        this.nanos = nanos;
        this.pause = pause;
    }

    /**
     * Returns once everything is there. How long a download takes nobody knows, so the others wait as long as pod 0 tells of something
     * that was done.
     *
     * @throws TrainerException PeerLost when it does not
     */
    void run(List<Fetch> wanted, int index) {
        for (Fetch fetch : wanted) {
            if (index == 0) {
                fetches.bring(fetch);
            } else {
                await(fetch);
            }
        }
    }

    private void await(Fetch fetch) {
        Optional<String> known = Optional.empty();
        long since = nanos.getAsLong();
        try {
            while (!fetches.isDone(fetch)) {
                Optional<String> news = fetches.news(fetch);
                if (news.isPresent() && !news.equals(known)) {
                    known = news;
                    since = nanos.getAsLong();
                }
                if (nanos.getAsLong() - since > patience.toNanos()) {
                    throw new TrainerException(
                            ExitCode.PeerLost,
                            "pod 0 has done nothing for " + patience.toSeconds() + " s on what is fetched to "
                                    + fetch.to() + "; last heard: " + known.orElse("nothing")
                                    + ". Its log says what it waits for; what has come is kept");
                }
                pause.of(LOOK_EVERY);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while pod 0 was fetching to " + fetch.to(), e);
        }
    }
}
