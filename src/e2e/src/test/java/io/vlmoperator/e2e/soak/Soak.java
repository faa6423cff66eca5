package io.vlmoperator.e2e.soak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * {@code soak run [FOLDER]}, {@code soak replay SCENARIO SEED}, {@code soak report}. Repetitions that stand in
 * {@code target/soak/results.jsonl} are not done again.
 */
public final class Soak {
    private static final int MOST_REPETITIONS = 10_000;
    private static final Map<String, Integer> USUAL = Map.of(
            "kill-rank", 13,
            "terminated-rank", 3,
            "damaged-checkpoint", 4,
            "stale-writer", 4,
            "frozen-rank", 2,
            "full-disk", 2);

    private final Path folder;
    private final Results results;
    private final Map<String, Scenario> scenarios = Scenario.all();

    private Soak(Path folder) {
        this.folder = folder;
        this.results = new Results(folder.resolve("results.jsonl"));
    }

    /** Exits with 0 when all that ran held, 1 when something did not, 64 for a wrong command. */
    public static void main(String[] arguments) throws Exception {
        int code;
        try {
            Soak soak = new Soak(Lab.repository().resolve("target/soak"));
            List<String> words = List.of(arguments);
            if (words.equals(List.of("run"))) {
                code = soak.run(counts(System.getenv("SOAK"), soak.scenarios), seed(System.getenv("SEED"), 1));
            } else if (words.equals(List.of("report"))) {
                System.out.print(soak.results.table(soak.scenarios));
                code = 0;
            } else if (words.size() == 3 && words.getFirst().equals("replay")) {
                Scenario scenario = soak.scenario(words.get(1));
                code = soak.one(scenario, seed(words.get(2), -1), false) ? 0 : 1;
            } else {
                throw new IllegalArgumentException("write: soak run | soak report | soak replay SCENARIO SEED");
            }
        } catch (IllegalArgumentException e) {
            System.err.println("soak: " + e.getMessage());
            code = 64;
        }
        System.exit(code);
    }

    /** {@code "kill-rank=6 frozen-rank=2"}; nothing means the usual numbers. */
    private static Map<String, Integer> counts(String text, Map<String, Scenario> scenarios) {
        Map<String, Integer> counts = new LinkedHashMap<>();
        if (text == null || text.isBlank()) {
            scenarios.keySet().forEach(name -> counts.put(name, USUAL.getOrDefault(name, 1)));
            return counts;
        }
        for (String word : text.strip().split("\\s+")) {
            String[] parts = word.split("=");
            if (parts.length != 2 || !scenarios.containsKey(parts[0]) || !parts[1].matches("\\d{1,5}")) {
                throw new IllegalArgumentException(
                        "SOAK has '" + word + "'; write SCENARIO=REPETITIONS, with one of " + scenarios.keySet());
            }
            counts.put(parts[0], Math.min(MOST_REPETITIONS, Integer.parseInt(parts[1])));
        }
        return counts;
    }

    private static long seed(String text, long usual) {
        if (usual >= 0 && (text == null || text.isBlank())) {
            return usual;
        }
        if (text == null || !text.matches("\\d{1,15}")) {
            throw new IllegalArgumentException("the seed '" + text + "' is no number from 0");
        }
        return Long.parseLong(text);
    }

    private Scenario scenario(String name) {
        Scenario scenario = scenarios.get(name);
        if (scenario == null) {
            throw new IllegalArgumentException("no scenario '" + name + "'; there are " + scenarios.keySet());
        }
        return scenario;
    }

    private int run(Map<String, Integer> counts, long first) throws IOException, InterruptedException {
        boolean good = true;
        List<String> failed = new ArrayList<>();
        for (var entry : counts.entrySet()) {
            Scenario scenario = scenario(entry.getKey());
            for (long seed = first; seed < first + entry.getValue(); seed++) {
                if (results.has(scenario.name(), seed)) {
                    continue;
                }
                boolean held = one(scenario, seed, true);
                good &= held;
                if (!held) {
                    failed.add(scenario.name() + " " + seed);
                }
            }
        }
        System.out.print(results.table(scenarios));
        failed.forEach(
                which -> System.out.println("did not hold: " + which + "; again: src/e2e/bin/soak replay " + which));
        return good ? 0 : 1;
    }

    /** Whether it held, or could not be tried. */
    private boolean one(Scenario scenario, long seed, boolean keep) throws IOException, InterruptedException {
        System.out.printf("%s  %s, seed %d%n", Instant.now().truncatedTo(ChronoUnit.SECONDS), scenario.name(), seed);
        long began = System.nanoTime();
        String outcome;
        List<String> facts = new ArrayList<>();
        Path work = folder.resolve("work").resolve(scenario.name() + "-" + seed);
        try (Repetition repetition = new Repetition(Lab.prepare(folder), work, seed)) {
            facts.addAll(scenario.run(repetition));
            outcome = "held";
        } catch (Scenario.Skipped e) {
            outcome = "skipped";
            facts.add(e.getMessage());
        } catch (AssertionError | Exception e) {
            if (e instanceof InterruptedException interrupted) {
                throw interrupted;
            }
            outcome = "failed";
            facts.add(String.valueOf(e.getMessage()));
            e.printStackTrace(System.out);
        }
        double seconds = Math.round((System.nanoTime() - began) / 1e8) / 10.0;
        if (!outcome.equals("failed")) {
            Files2.deleteTree(work);
        } else {
            System.out.println("   what it left: " + work);
        }
        facts.forEach(fact -> System.out.println("   " + fact));
        System.out.printf("   %s after %.1f s%n", outcome, seconds);
        if (keep) {
            results.add(new Results.Line(
                    scenario.name(),
                    seed,
                    outcome,
                    seconds,
                    Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
                    java.lang.management.ManagementFactory.getOperatingSystemMXBean()
                            .getSystemLoadAverage(),
                    facts));
        }
        return !outcome.equals("failed");
    }

    /** File operations. */
    static final class Files2 {
        private Files2() {}

        static void deleteTree(Path tree) throws IOException {
            if (!Files.exists(tree, java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
                return;
            }
            try (var files = Files.walk(tree)) {
                for (Path path :
                        files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(path);
                }
            }
        }
    }
}
