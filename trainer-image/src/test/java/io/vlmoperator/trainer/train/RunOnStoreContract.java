package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Safetensors;
import io.vlmoperator.trainer.storage.Buckets;
import io.vlmoperator.trainer.storage.ObjectServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** A run whose folder, tokenizer and checkpoints lie in a bucket of a real S3 server. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class RunOnStoreContract {
    private ObjectServer server;

    private static final class Killed extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    @TempDir
    Path folder;

    /** Starts one. */
    abstract ObjectServer open() throws Exception;

    @BeforeAll
    void start() throws Exception {
        server = open();
        server.bucket("runs");
    }

    @AfterAll
    void stop() throws Exception {
        if (server != null) {
            server.close();
        }
    }

    /** Each attempt is another program: it shares the bucket with the others and nothing else. */
    private TinyRun run(String name, int attempt, int steps) throws IOException {
        Buckets buckets = server.buckets(folder.resolve("cache-" + attempt));
        TinyRun run = new TinyRun(buckets.path("s3://runs/" + name));
        run.locations = Locations.of(Map.of()).with(buckets);
        run.attempt = attempt;
        run.steps = steps;
        run.everySteps = 3;
        return run;
    }

    @Test
    void isResumedAsOnADisk() throws IOException {
        TinyRun local = new TinyRun(Files.createDirectories(folder.resolve("local")));
        local.steps = 9;
        local.everySteps = 3;
        local.train();

        TinyRun first = run("a", 1, 9);
        first.faults = (operation, path) -> {
            if (path.toString().contains("step-000000009")) {
                throw new Killed();
            }
        };
        assertThatThrownBy(first::train).isInstanceOf(Killed.class);
        TinyRun second = run("a", 2, 9);
        second.train();

        assertThat(second.facts.resumedFrom()).isPresent();
        assertThat(second.losses()).isEqualTo(local.losses());
        assertThat(second.weights()).isEqualTo(local.weights());
        RunFolder run = RunFolder.at(second.run());
        assertThat(run.owner()).hasValue(2);
        assertThat(run.complete()).extracting(RunFolder.Complete::step).contains(9L);
        try (Stream<Path> steps = Files.list(second.run().resolve("checkpoints"))) {
            assertThat(steps.count()).as("retention").isLessThanOrEqualTo(3);
        }
        Path export = run.export(9);
        try (Safetensors weights = Safetensors.open(export.resolve("model.safetensors"))) {
            assertThat(weights.entries()).isNotEmpty();
        }
        try (Stream<Path> boards = Files.list(second.run().resolve("tensorboard"))) {
            assertThat(boards.count()).isEqualTo(2);
        }
    }

    @Test
    void anOlderAttemptIsFenced() throws IOException {
        run("b", 2, 3).train();
        TinyRun old = run("b", 1, 3);
        assertThatThrownBy(old::train)
                .isInstanceOfSatisfying(
                        TrainerException.class, e -> assertThat(e.code()).isEqualTo(ExitCode.Fenced))
                .hasMessageContaining("s3://runs/b");
        assertThat(List.of(run("b", 2, 3).losses())).isNotEmpty();
    }
}
