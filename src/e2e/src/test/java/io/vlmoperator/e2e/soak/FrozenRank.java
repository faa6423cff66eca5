package io.vlmoperator.e2e.soak;

import java.util.List;

/** SIGSTOP of one rank: the other does not wait for ever, it ends and says that it waited. */
final class FrozenRank implements Scenario {
    private static final int COLLECTIVE_TIMEOUT = 161;
    private static final int STEP_DEADLINE_EXCEEDED = 163;
    /** Long enough for a step of a few milliseconds on a machine that does much else. */
    private static final int STEP_DEADLINE = 40;

    @Override
    public String name() {
        return "frozen-rank";
    }

    @Override
    public String claim() {
        return "SIGSTOP of one rank: the other ends by 161 or 163 within its step deadline; same loss curve, same weights";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        var random = repetition.random();
        long step = 2 + random.nextLong(Lab.STEPS - 12);
        int frozen = random.nextInt(Attempt.WORLD);
        int code;
        double seconds;
        try (Attempt attempt = repetition.next(STEP_DEADLINE)) {
            Run.require(attempt.awaitStep(step), "step " + step + " was never reached\n" + attempt.log());
            attempt.signal(frozen, "STOP");
            long began = System.nanoTime();
            code = attempt.awaitEnd(1 - frozen);
            seconds = (System.nanoTime() - began) / 1e9;
            Run.require(
                    code == COLLECTIVE_TIMEOUT || code == STEP_DEADLINE_EXCEEDED,
                    "the rank that waits ended with " + code + "\n" + attempt.log());
        }
        repetition.run().requireWholeCheckpoints();
        repetition.completeAndCompare();
        return List.of("rank " + frozen + " frozen at step " + step + ": the other ended with " + code + " after "
                + Math.round(seconds) + " s of " + STEP_DEADLINE);
    }
}
