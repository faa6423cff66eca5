package io.vlmoperator.e2e.soak;

import io.vlmoperator.e2e.SoakCluster;
import java.time.Duration;
import java.util.List;

/** Faults around a job on the local cluster: the workers are well, what watches them is not. */
final class ClusterScenario implements Scenario {
    /** More than without a cluster: the job shall still be at work when the fault strikes. */
    private static final int STEPS = 400;

    private static final int LATEST = 200;
    private static final int SECONDS = 30;

    private final String name;
    private final String claim;
    private final Fault fault;

    private ClusterScenario(String name, String claim, Fault fault) {
        this.name = name;
        this.claim = claim;
        this.fault = fault;
    }

    private interface Fault {
        /**
         * @param seconds chosen by the seed, less than {@link #SECONDS}
         * @return what was done
         */
        String strike(SoakCluster cluster, int seconds) throws Exception;
    }

    static List<Scenario> all() {
        String same = " in mid-run: one attempt, same loss curve, same weights";
        return List.of(
                new ClusterScenario("operator-kill", "kill -9 of the operator" + same, (cluster, seconds) -> {
                    int killed = cluster.killOperator();
                    Run.require(killed > 0, "no process of the operator was there to kill");
                    return "operator killed";
                }),
                new ClusterScenario(
                        "cluster-kill", "kill -9 of the API server, away for 10 to 39 s" + same, (cluster, seconds) -> {
                            cluster.killApiServer(Duration.ofSeconds(10L + seconds));
                            return "API server away for " + (10 + seconds) + " s";
                        }),
                new ClusterScenario("node-freeze", "the node frozen for 30 to 59 s" + same, (cluster, seconds) -> {
                    cluster.freezeNode(Duration.ofSeconds(30L + seconds));
                    return "node frozen for " + (30 + seconds) + " s";
                }));
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String claim() {
        return claim;
    }

    @Override
    public List<String> run(Repetition repetition) throws Exception {
        long training = Lab.trainingSeed(repetition.seed());
        Run undisturbed = repetition.lab().reference(training, STEPS);
        try (SoakCluster cluster = SoakCluster.start()) {
            SoakCluster.Job job = cluster.begin(Lab.manifest(cluster.examples(), training, STEPS));
            int step = Lab.EVERY + repetition.random().nextInt(LATEST);
            job.awaitSaved(step);
            String done = fault.strike(cluster, repetition.random().nextInt(SECONDS)) + ", from step " + step;
            int attempts = job.awaitComplete();
            Run.require(attempts == 1, "the workers were well, but there were " + attempts + " attempts");
            Run run = new Run(job.run());
            run.requireWhole();
            run.requireEqual(undisturbed);
            return List.of(done);
        }
    }
}
