package io.vlmoperator.e2e.soak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** One repetition: its folder, its random choices, its attempts. Closing it ends all its processes. */
final class Repetition implements AutoCloseable {
    private final Lab lab;
    private final Path folder;
    private final long seed;
    private final SplittableRandom random;
    private final List<Attempt> attempts = new ArrayList<>();

    Repetition(Lab lab, Path folder, long seed) throws IOException {
        this.lab = lab;
        this.folder = folder;
        this.seed = seed;
        this.random = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1);
        Soak.Files2.deleteTree(folder);
        Files.createDirectories(folder);
    }

    Lab lab() {
        return lab;
    }

    long seed() {
        return seed;
    }

    SplittableRandom random() {
        return random;
    }

    /** The folder behind {@code pvc://runs}. */
    Path claim() {
        return folder.resolve("runs");
    }

    Run run() {
        return new Run(claim().resolve("run"));
    }

    /** Starts the next attempt; the one before may still be there. */
    Attempt next() throws IOException {
        return next(Attempt.PATIENT);
    }

    Attempt next(int stepDeadline) throws IOException {
        Attempt attempt = Attempt.start(
                lab, folder, new Attempt.Order(Lab.trainingSeed(seed), attempts.size() + 1, stepDeadline, Lab.STEPS));
        attempts.add(attempt);
        return attempt;
    }

    /** Runs attempts until the work is done, then compares it with the run that nothing disturbed. */
    void completeAndCompare() throws Exception {
        try (Attempt last = next()) {
            last.mustComplete();
        }
        compare();
    }

    void compare() throws Exception {
        run().requireWhole();
        run().requireEqual(lab.reference(Lab.trainingSeed(seed), Lab.STEPS));
    }

    /** The reference is made before anything is disturbed, so that a failure of it is not taken for one of the scenario. */
    void prepareReference() throws Exception {
        lab.reference(Lab.trainingSeed(seed), Lab.STEPS);
    }

    @Override
    public void close() throws InterruptedException {
        for (Attempt attempt : attempts) {
            attempt.close();
        }
    }
}
