package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Fetch;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.fetch.Fetches;
import java.time.Duration;
import java.util.List;

/** The first part of a Dataset's work: pod 0 brings what the spec names, the others wait for it. */
final class FetchStage {
    private static final Duration LOOK_EVERY = Duration.ofSeconds(5);

    private FetchStage() {}

    /**
     * Returns once everything is there. The others wait as long as the Dataset's active deadline lets them: how long a download takes,
     * nobody knows.
     */
    static void run(List<Fetch> wanted, Fetches fetches, int index) {
        for (Fetch fetch : wanted) {
            if (index == 0) {
                fetches.bring(fetch);
            } else {
                await(fetch, fetches);
            }
        }
    }

    private static void await(Fetch fetch, Fetches fetches) {
        try {
            while (!fetches.isDone(fetch)) {
                Thread.sleep(LOOK_EVERY);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "stopped while pod 0 was fetching to " + fetch.to(), e);
        }
    }
}
