package io.vlmoperator.e2e.soak;

import java.util.List;
import java.util.Map;

/** One kind of fault. The same seed makes the same choices; when they strike is up to the machine. */
interface Scenario {
    /** As it is called on the command line and in the results. */
    String name();

    /** What is done and what must hold, in one line. */
    String claim();

    /**
     * Runs one repetition.
     *
     * @return what was done, in words
     * @throws AssertionError when something does not hold
     * @throws Skipped when this machine can't run it
     */
    List<String> run(Repetition repetition) throws Exception;

    /** Not possible here. */
    final class Skipped extends Exception {
        private static final long serialVersionUID = 1L;

        Skipped(String why) {
            super(why);
        }
    }

    /** All of them, by name, in the order in which they run. */
    static Map<String, Scenario> all() {
        Map<String, Scenario> all = new java.util.LinkedHashMap<>();
        for (Scenario scenario : List.of(
                new KillRank(),
                new TerminatedRank(),
                new DamagedCheckpoint(),
                new StaleWriter(),
                new FrozenRank(),
                new FullDisk())) {
            all.put(scenario.name(), scenario);
        }
        ClusterScenario.all().forEach(scenario -> all.put(scenario.name(), scenario));
        return all;
    }
}
