package io.vlmoperator.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.checkpoint.RunFolder;
import io.vlmoperator.trainer.checkpoint.Verifier;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** SIGSTOP of an attempt, a new attempt, SIGCONT: the old one ends by Fenced, and nothing of the new one's has changed. */
@Timeout(600)
class FrozenAttemptTest {
    @TempDir
    Path folder;

    @Test
    void anAttemptThatWakesUpAfterItsReplacementChangesNothing() throws Exception {
        Path root = Files.createDirectories(folder.resolve("run"));
        TinyRun straight = new TinyRun(Files.createDirectories(folder.resolve("straight")));
        straight.everySteps = 3;
        straight.train();
        Process old = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-XX:+UseSerialGC",
                        "-Xmx512m",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        TinyRun.class.getName(),
                        root.toString(),
                        "1",
                        "300")
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("old.txt").toFile())
                .start();
        try {
            awaitSteps(old, root.resolve("run/metrics.jsonl"), 4);
            signal(old, "STOP");
            TinyRun replacement = new TinyRun(root);
            replacement.attempt = 2;
            replacement.everySteps = 3;
            replacement.train();
            assertThat(replacement.losses()).isEqualTo(straight.losses());
            assertThat(replacement.weights()).isEqualTo(straight.weights());
            RunFolder run = RunFolder.at(replacement.run());
            Map<String, String> before = files(replacement.run());
            var complete = run.complete();
            signal(old, "CONT");
            assertThat(old.waitFor(200, TimeUnit.SECONDS))
                    .as("the old attempt ends")
                    .isTrue();
            assertThat(old.exitValue())
                    .as(Files.readString(folder.resolve("old.txt")))
                    .isEqualTo(ExitCode.Fenced.code());
            assertThat(files(replacement.run()))
                    .as("no file has changed or gone")
                    .containsAllEntriesOf(before);
            assertThat(run.complete())
                    .isEqualTo(complete)
                    .allSatisfy(each -> assertThat(Verifier.problem(each)).isEmpty());
        } finally {
            old.destroyForcibly().waitFor();
        }
    }

    private static void awaitSteps(Process process, Path metrics, int steps) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(200);
        while (!Files.exists(metrics) || Files.readAllLines(metrics).size() < steps) {
            assertThat(process.isAlive())
                    .as("the attempt has not ended by itself")
                    .isTrue();
            assertThat(System.nanoTime()).as("no step within 200 s").isLessThan(deadline);
            Thread.sleep(5);
        }
    }

    /** By the shell, which has kill built in. */
    private static void signal(Process process, String name) throws IOException, InterruptedException {
        int code = new ProcessBuilder("sh", "-c", "kill -" + name + " " + process.pid())
                .inheritIO()
                .start()
                .waitFor();
        assertThat(code).as("kill -" + name).isZero();
    }

    /** Digests of what counts; hidden files are unfinished writes. */
    private static Map<String, String> files(Path root) throws IOException {
        Map<String, String> digests = new TreeMap<>();
        try (Stream<Path> all = Files.walk(root)) {
            for (Path file : all.filter(Files::isRegularFile)
                    .filter(f -> !f.getFileName().toString().startsWith("."))
                    .toList()) {
                digests.put(root.relativize(file).toString(), Json.digest(Files.readAllBytes(file)));
            }
        }
        return digests;
    }
}
