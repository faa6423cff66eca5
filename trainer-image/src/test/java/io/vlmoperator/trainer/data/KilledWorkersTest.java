package io.vlmoperator.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.vlmoperator.api.spec.DatasetSpec;
import io.vlmoperator.api.spec.Reject;
import io.vlmoperator.trainer.Locations;
import io.vlmoperator.trainer.data.TestData.Tar;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Workers that are killed, as a process and without a warning, at many points: between shards, and while a file of each kind is half written.
 * The Dataset that is made in the end is the one of a worker that nothing happened to, file for file and byte for byte.
 */
class KilledWorkersTest {
    private static final int KILLED = 137;

    @TempDir
    Path root;

    /** A worker; its end is asked for by {@code shard:N} (after so many), {@code file:REGEX} (as soon as one is seen) or {@code none}. */
    public static void main(String[] arguments) {
        Path root = Path.of(arguments[0]);
        Path out = root.resolve(arguments[1]);
        int index = Integer.parseInt(arguments[2]);
        String end = arguments[3];
        int[] shards = new int[1];
        if (end.startsWith("file:")) {
            Thread.ofPlatform().daemon().start(() -> watch(out, end.substring(5)));
        }
        new DatasetBuilder(spec(), locations(root, out), new DatasetBuilder.Options(index, 2, 1, Duration.ofMinutes(5)))
                .build((done, total) -> {
                    if (end.equals("shard:" + ++shards[0])) {
                        Runtime.getRuntime().halt(KILLED);
                    }
                });
    }

    private static void watch(Path out, String regex) {
        while (true) {
            try (Stream<Path> files = Files.walk(out)) {
                if (files.anyMatch(file -> file.getFileName().toString().matches(regex))) {
                    Runtime.getRuntime().halt(KILLED);
                }
            } catch (IOException | java.io.UncheckedIOException e) {
                // a file that was there a moment ago
            }
        }
    }

    private static Locations locations(Path root, Path out) {
        return Locations.of(
                Map.of("data", root.resolve("data"), "out", TestData.folder(out), "tok", TestData.TOKENIZER));
    }

    private static DatasetSpec spec() {
        DatasetSpec plain = TestData.captions("pvc://data/*.tar", 96, 4);
        return new DatasetSpec(
                plain.sources(),
                null,
                new Reject(null, null, null, null, null, 0.5, Reject.DuplicateImages.Perceptual, 1, 0.9),
                plain.pack(),
                new DatasetSpec.Output("pvc://out/pairs", true, null),
                null,
                null,
                null,
                null);
    }

    private int worker(String out, int index, String end) throws IOException, InterruptedException {
        Path log = root.resolve(out + "-" + index + ".txt");
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin/java").toString(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-Xmx512m",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        KilledWorkersTest.class.getName(),
                        root.toString(),
                        out,
                        Integer.toString(index),
                        end)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            assertThat(process.waitFor(5, TimeUnit.MINUTES))
                    .as("worker %s, %s ends", index, end)
                    .isTrue();
        } finally {
            process.destroyForcibly().waitFor();
        }
        assertThat(process.exitValue()).as("%s: %s", end, Files.readString(log)).isIn(0, KILLED);
        return process.exitValue();
    }

    private static Map<String, String> files(Path folder) throws IOException {
        Map<String, String> digests = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                digests.put(folder.relativize(file).toString(), Digests.ofFile(file));
            }
        }
        return digests;
    }

    @Test
    @Timeout(900)
    void theDatasetIsTheOneOfAWorkerThatNothingHappenedTo() throws Exception {
        Path data = TestData.folder(root.resolve("data"));
        for (int t = 0; t < 5; t++) {
            Tar tar = new Tar();
            for (int n = 0; n < 30; n++) {
                tar.sample(t + "-" + n, TestData.png(24, 24, 7 * t + n), "picture " + n + " of tar " + t);
            }
            tar.sample("bad", new byte[7], "no picture");
            Files.write(data.resolve(t + ".tar"), t == 3 ? tar.withoutEnd() : tar.bytes());
        }
        Path straight = root.resolve("straight");
        new DatasetBuilder(
                        spec(), locations(root, straight), new DatasetBuilder.Options(0, 1, 2, Duration.ofMinutes(5)))
                .build((done, total) -> {});
        Map<String, String> want = files(straight);
        assertThat(want).containsKeys("pairs/dataset.json", "pairs/plan.parquet", "pairs/shards/00000000.tar");

        List<String> ends = new ArrayList<>();
        assertThat(worker("killed", 1, "shard:1")).isEqualTo(KILLED);
        ends.add("index " + worker("killed", 1, "file:\\..*-3\\.parquet\\.tmp-.*"));
        assertThat(worker("killed", 1, "none")).isZero();
        assertThat(worker("killed", 0, "shard:3")).isEqualTo(KILLED);
        for (String file : List.of("rejects.jsonl", "plan.parquet", "00000000.tar")) {
            ends.add(file + " " + worker("killed", 0, "file:\\." + file.replace(".", "\\.") + "\\.tmp-.*"));
        }
        assertThat(worker("killed", 0, "none")).isZero();
        assertThat(files(root.resolve("killed"))).as("after %s", ends).isEqualTo(want);
    }
}
