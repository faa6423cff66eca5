package io.vlmoperator.e2e.soak;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** {@code kill -9} of one rank or both, up to twenty times in one run, while it trains and while it saves. */
final class KillRank implements Scenario {
    private static final int KILLS = 20;
    /**
     * So many steps beyond the newest checkpoint at most. Beyond {@link Lab#EVERY}, so that the run gets on and later saves are struck
     * too, and near it, so that it lasts for most of the kills.
     */
    private static final int AHEAD = 9;

    /** How long after a step's line the signal is sent, at most, in milliseconds: a save of this model takes about as long. */
    private static final int PAUSE_SAVING = 150;

    private static final int PAUSE = 30;

    private static final int KILLED = 137;
    private static final int PEER_LOST = 162;

    @Override
    public String name() {
        return "kill-rank";
    }

    @Override
    public String claim() {
        return "kill -9 of ranks, up to twenty times a run, in steps and in saves: same loss curve, same weights, no half file";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        var random = repetition.random();
        List<String> facts = new ArrayList<>();
        for (int kill = 0; kill < KILLS; kill++) {
            List<Long> saved = repetition.run().checkpoints();
            long from = saved.isEmpty() ? 0 : saved.getFirst();
            long left = Lab.STEPS - from;
            if (left < 3) {
                break;
            }
            boolean saving = random.nextBoolean();
            long step = Math.min(Lab.STEPS, from + 1 + random.nextLong(AHEAD));
            if (saving) {
                step = Math.min(Lab.STEPS, Math.ceilDiv(step, Lab.EVERY) * (long) Lab.EVERY);
            }
            int victims = random.nextInt(3);
            long pause = random.nextLong(saving ? PAUSE_SAVING : PAUSE);
            try (Attempt attempt = repetition.next()) {
                boolean reached = attempt.awaitStep(step);
                Thread.sleep(pause);
                for (int rank = 0; rank < Attempt.WORLD; rank++) {
                    if (victims == 2 || victims == rank) {
                        attempt.signal(rank, "KILL");
                    }
                }
                int[] codes = attempt.awaitEnd();
                facts.add("kill -9 of " + (victims == 2 ? "both" : "rank " + victims) + " at step " + step
                        + (saving ? ", saving" : "") + ": " + Arrays.toString(codes));
                for (int code : codes) {
                    Run.require(
                            code == KILLED || code == PEER_LOST || code == 0,
                            "a killed attempt ended with " + Arrays.toString(codes) + "\n" + attempt.log());
                }
                Run.require(reached || codes[0] == 0, "step " + step + " was never reached\n" + attempt.log());
                repetition.run().requireWholeCheckpoints();
                if (codes[0] == 0 && codes[1] == 0) {
                    break;
                }
            }
        }
        repetition.completeAndCompare();
        return facts;
    }
}
