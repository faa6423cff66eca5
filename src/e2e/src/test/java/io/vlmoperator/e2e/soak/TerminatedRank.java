package io.vlmoperator.e2e.soak;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** SIGTERM, as a drained node sends it: to one rank or both; with time enough they save and lose nothing. */
final class TerminatedRank implements Scenario {
    private static final int SAVED = 160;
    private static final int TERMINATED = 143;
    private static final int PEER_LOST = 162;

    @Override
    public String name() {
        return "terminated-rank";
    }

    @Override
    public String claim() {
        return "SIGTERM to one rank or both: exit 160 means that no completed step is lost; same loss curve, same weights";
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        repetition.prepareReference();
        var random = repetition.random();
        List<String> facts = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            List<Long> saved = repetition.run().checkpoints();
            long from = saved.isEmpty() ? 0 : saved.getFirst();
            if (Lab.STEPS - from < 3) {
                break;
            }
            long step = from + 1 + random.nextLong(Math.max(1, (Lab.STEPS - from) / 2));
            int victims = random.nextInt(3);
            try (Attempt attempt = repetition.next()) {
                attempt.awaitStep(step);
                for (int rank = 0; rank < Attempt.WORLD; rank++) {
                    if (victims == 2 || victims == rank) {
                        attempt.signal(rank, "TERM");
                    }
                }
                int[] codes = attempt.awaitEnd();
                facts.add("SIGTERM to " + (victims == 2 ? "both" : "rank " + victims) + " at step " + step + ": "
                        + Arrays.toString(codes));
                for (int code : codes) {
                    Run.require(
                            code == SAVED || code == TERMINATED || code == PEER_LOST || code == 0,
                            "a terminated attempt ended with " + Arrays.toString(codes) + "\n" + attempt.log());
                }
                repetition.run().requireWholeCheckpoints();
                if (codes[0] == SAVED) {
                    long done = repetition.run().losses().size();
                    long newest = repetition.run().checkpoints().getFirst();
                    Run.require(
                            newest == done,
                            "exit 160, but " + done + " steps were done and the newest checkpoint is of step " + newest
                                    + "\n" + attempt.log());
                }
            }
        }
        repetition.completeAndCompare();
        return facts;
    }
}
