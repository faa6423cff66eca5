package io.vlmoperator.e2e.soak;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.vlmoperator.e2e.Manifests;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * What all repetitions share: a small copy of the emoji data, packed once, and for each of three training seeds the run that nothing
 * disturbed.
 */
final class Lab {
    /** Undisturbed runs are made for so many seeds; more would only take time. */
    private static final int REFERENCES = 3;

    private static final int EMOJI = 60;
    static final int STEPS = 60;
    static final int EVERY = 6;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path repository;
    private final Path folder;

    private Lab(Path repository, Path folder) {
        this.repository = repository;
        this.folder = folder;
    }

    static Lab prepare(Path soak) throws IOException, InterruptedException {
        Path repository = repository();
        // Data and undisturbed runs of another build may differ: in the index's columns, in the last digits.
        Lab lab = new Lab(repository, soak.resolve("lab-" + build(repository)));
        lab.data();
        return lab;
    }

    static Path repository() {
        Path at = Path.of("").toAbsolutePath();
        while (at != null && !Files.exists(at.resolve("charts"))) {
            at = at.getParent();
        }
        if (at == null) {
            throw new IllegalArgumentException(
                    "not inside a checkout: " + Path.of("").toAbsolutePath());
        }
        return at;
    }

    Path trainer() {
        return repository.resolve("trainer-image/bin/vlm-trainer");
    }

    /** The folder behind {@code pvc://emoji}. */
    Path emoji() {
        return folder.resolve("emoji");
    }

    private void data() throws IOException, InterruptedException {
        Path done = emoji().resolve("datasets/captions/dataset.json");
        if (Files.exists(done)) {
            return;
        }
        Files.createDirectories(emoji());
        command(
                "prepare-emoji",
                repository.resolve("src/emoji/bin/prepare-emoji").toString(),
                emoji().resolve("data").toString(),
                "--limit",
                Integer.toString(EMOJI));
        ObjectNode dataset =
                Manifests.one(Manifests.small(repository.resolve("examples/emoji")), "Dataset", manifest -> {});
        Path manifest = folder.resolve("dataset.yaml");
        new ObjectMapper(new YAMLFactory()).writeValue(manifest.toFile(), dataset);
        command("dataset", trainer().toString(), "run", manifest.toString(), "--mount", "emoji=" + emoji());
        if (!Files.exists(done)) {
            throw new IllegalStateException(done + " was not made; see " + folder.resolve("dataset.log"));
        }
    }

    private void command(String name, String... words) throws IOException, InterruptedException {
        Path log = folder.resolve(name + ".log");
        Process process = new ProcessBuilder(words)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            if (!process.waitFor(15, TimeUnit.MINUTES) || process.exitValue() != 0) {
                throw new IllegalStateException(name + " failed; see " + log);
            }
        } finally {
            process.destroyForcibly();
        }
    }

    /**
     * The frozen job of an attempt, as the operator writes it.
     *
     * @param seed of the training
     * @param stepDeadline {@code failure.stepDeadlineSeconds}
     * @param steps of the run
     */
    byte[] job(long seed, int attempt, int stepDeadline, int steps) throws IOException {
        ObjectNode spec = Manifests.spec(manifest(repository.resolve("examples/emoji"), seed, steps));
        ((ObjectNode) spec.get("failure")).put("stepDeadlineSeconds", stepDeadline);
        spec.putObject("output").put("location", "pvc://runs/run");
        ObjectNode job = JSON.createObjectNode()
                .put("schemaVersion", 1)
                .put("kind", "PretrainJob")
                .put("namespace", "soak")
                .put("name", "soak")
                .put("uid", "soak-" + seed)
                .put("attempt", attempt)
                .put("nodes", Attempt.WORLD)
                .put("processesPerNode", 1);
        job.set("pretrain", spec);
        job.putArray("datasets")
                .addObject()
                .put("name", "emoji-captions")
                .put("location", "pvc://emoji/datasets/captions")
                .put("weight", 1)
                .put(
                        "digest",
                        JSON.readTree(emoji().resolve("datasets/captions/dataset.json")
                                        .toFile())
                                .at("/summary/digest")
                                .asText());
        return JSON.writeValueAsBytes(job);
    }

    /** The example's PretrainJob, made small, with a seed; what it trains does not depend on where it runs. */
    static ObjectNode manifest(Path examples, long seed, int steps) {
        return Manifests.one(Manifests.small(examples), "PretrainJob", job -> {
            ObjectNode spec = Manifests.spec(job);
            spec.put("seed", seed);
            ((ObjectNode) spec.get("schedule")).putObject("stopAfter").put("steps", steps);
            ObjectNode checkpoints = (ObjectNode) spec.get("checkpoints");
            checkpoints.put("everySteps", EVERY);
            checkpoints.putObject("keep").put("last", 3);
            spec.putObject("failure")
                    .put("stepDeadlineSeconds", Attempt.PATIENT)
                    .put("startupDeadlineSeconds", Attempt.PATIENT)
                    .put("gracePeriodSeconds", 30);
        });
    }

    /** The seed of the training in the repetition with this seed. */
    static long trainingSeed(long seed) {
        return seed % REFERENCES + 1;
    }

    /** What a run of this training seed gives when nothing disturbs it. */
    Run reference(long trainingSeed, int steps) throws Exception {
        Path home = folder.resolve("reference-" + trainingSeed + "-" + steps);
        Run run = new Run(home.resolve("runs/run"));
        Path complete = home.resolve("complete");
        if (!Files.exists(complete)) {
            Soak.Files2.deleteTree(home);
            try (Attempt attempt =
                    Attempt.start(this, home, new Attempt.Order(trainingSeed, 1, Attempt.PATIENT, steps))) {
                attempt.mustComplete();
            }
            run.requireWhole();
            Files.createFile(complete);
        }
        return run;
    }

    /** Of the trainer that is tried. */
    private static String build(Path repository) throws IOException {
        try (var jars = Files.newDirectoryStream(repository.resolve("trainer-image/target"), "trainer-image-*.jar")) {
            for (Path jar : jars) {
                return Run.digest(jar).substring(0, 12);
            }
        }
        throw new IllegalArgumentException("trainer-image/target has no jar; run make build");
    }

    static List<String> lines(Path file) throws IOException {
        return Files.exists(file) ? Files.readAllLines(file) : List.of();
    }
}
