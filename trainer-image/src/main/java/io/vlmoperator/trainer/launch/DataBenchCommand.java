package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.ConversationBench;
import io.vlmoperator.trainer.data.DataBench;
import io.vlmoperator.trainer.data.SelectBench;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/** {@code vlm-trainer bench-data pack|select|conversations N}: what {@code make bench-pack} and its like run. */
final class DataBenchCommand {
    /** Captions of the paper's final mixture, and uids of DataComp's medium pool. */
    private static final double PAPER_SAMPLES = 28.4e6;

    private static final String USAGE =
            "bench-data pack|select|conversations N [--within SECONDS] [--algorithm A] [--tokenizer DIR]"
                    + " [--folder DIR] [--json FILE]";

    private static final double POOL = 128e6;
    private static final double CONVERSATIONS = 10e6;
    private static final double GIB = 1L << 30;

    /** A first run of so small a share says how long the whole takes. */
    private static final int PILOT_SHARE = 50;

    private final Map<String, Part> parts = new LinkedHashMap<>();
    private long lastWall = System.nanoTime();
    private long lastCpu = cpu();
    private long pilotCount;
    private long pilotPeak;

    /**
     * @param seconds of the whole part, {@code cpuSeconds} of all threads
     */
    private record Part(String name, double seconds, double cpuSeconds) {
        Part plus(Part other) {
            return new Part(name, seconds + other.seconds, cpuSeconds + other.cpuSeconds);
        }
    }

    /** Does so much of the work in an empty folder. */
    private interface Work {
        List<BenchRow> run(Path folder, long count) throws IOException;
    }

    private DataBenchCommand() {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments = Arguments.parse(
                words, List.of("--algorithm", "--folder", "--json", "--tokenizer", "--within"), List.of());
        if (arguments.words().size() != 2 || !arguments.words().get(1).matches("[1-9]\\d{0,8}")) {
            throw TrainerException.configuration("write: " + USAGE);
        }
        String what = arguments.words().getFirst();
        long count = Long.parseLong(arguments.words().get(1));
        DataBenchCommand bench = new DataBenchCommand();
        Work work = switch (what) {
            case "pack" -> {
                String algorithm = arguments.one("--algorithm").orElse("FirstFitDecreasing");
                yield (folder, samples) -> bench.pack(folder, samples, algorithm);
            }
            case "select" -> bench::select;
            case "conversations" -> {
                Path tokenizer = Path.of(arguments
                        .one("--tokenizer")
                        .orElseThrow(() -> TrainerException.configuration("conversations need --tokenizer DIR")));
                yield (folder, samples) -> bench.conversations(folder, samples, tokenizer);
            }
            default -> throw TrainerException.configuration("write: " + USAGE);
        };
        try {
            Path parent = Path.of(arguments.one("--folder").orElse(System.getProperty("java.io.tmpdir")));
            if (arguments.one("--within").isPresent()) {
                int limit = arguments.number("--within", 86_400).orElseThrow();
                count = bench.fitting(count, limit, work, parent, out);
            }
            List<BenchRow> rows = bench.inFolder(parent, work, count);
            BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/" + what + ".json")), out);
        } catch (IOException e) {
            throw TrainerException.storage("the benchmark's folder: " + e, e);
        }
        return ExitCode.Completed.code();
    }

    /** The count, or half, a quarter and so on of it, by what a small share took. */
    private long fitting(long count, int limitSeconds, Work work, Path parent, PrintStream out) throws IOException {
        long pilot = Math.max(1, count / PILOT_SHARE);
        inFolder(parent, work, pilot);
        pilotCount = pilot;
        pilotPeak = peak();
        double secondsEach = wall() / pilot;
        long fits = count;
        while (fits > 2 * pilot && fits * secondsEach > limitSeconds) {
            fits /= 2;
        }
        out.printf(
                Locale.ROOT,
                "%d took %.1f s, so %d would take up to %.0f s%s%n",
                pilot,
                wall(),
                count,
                count * secondsEach,
                fits == count
                        ? ""
                        : ", more than " + limitSeconds + ": only " + fits + " are done, the rest is extrapolated");
        return fits;
    }

    private List<BenchRow> inFolder(Path parent, Work work, long count) throws IOException {
        Path folder = Files.createTempDirectory(parent, "vlm-bench-");
        try {
            parts.clear();
            lastWall = System.nanoTime();
            lastCpu = cpu();
            return work.run(folder, count);
        } finally {
            delete(folder);
        }
    }

    private void done(String name) {
        long wall = System.nanoTime();
        long cpu = cpu();
        parts.merge(name, new Part(name, (wall - lastWall) / 1e9, (cpu - lastCpu) / 1e9), Part::plus);
        lastWall = wall;
        lastCpu = cpu;
    }

    private List<BenchRow> pack(Path folder, long count, String algorithm) throws IOException {
        DataBench.Packed result = DataBench.pack(folder, count, Pack.Algorithm.valueOf(algorithm), this::done);
        double scale = PAPER_SAMPLES / count;
        String of = count == PAPER_SAMPLES ? "28.4 M samples" : "28.4 M samples, extrapolated from " + count;
        List<BenchRow> rows = new ArrayList<>();
        for (Part part : parts.values()) {
            rows.add(BenchRow.plain(part.name() + " of " + count + " samples", part.seconds(), "s"));
            rows.add(BenchRow.plain(part.name() + " of " + count + " samples", part.cpuSeconds(), "processor s"));
        }
        rows.add(BenchRow.atMost("all of " + of, scale * wall(), "s", 120));
        rows.add(BenchRow.atMost("all of " + of, scale * cpuTotal(), "processor s", 240));
        rows.add(BenchRow.atMost("peak memory, " + count + " samples", peak() / GIB, "GiB", 2));
        rows.add(BenchRow.plain("rows, " + algorithm, result.rows(), "rows"));
        rows.add(
                algorithm.equals("Streaming")
                        ? new BenchRow("fill, Streaming", result.fill(), "share", 0.995, result.fill() >= 0.995, null)
                        : BenchRow.plain("fill, " + algorithm, result.fill(), "share"));
        return rows;
    }

    private List<BenchRow> select(Path folder, long count) throws IOException {
        SelectBench.Selected result = SelectBench.select(folder, count, this::done);
        if (result.kept() != result.expected()) {
            throw new TrainerException(
                    ExitCode.InternalError,
                    "kept " + result.kept() + " of " + count + "; " + result.expected() + " are meant");
        }
        double scale = POOL / count;
        String of = count == POOL ? "128 M uids" : "128 M uids, extrapolated from " + count;
        List<BenchRow> rows = parts(of, scale);
        rows.add(BenchRow.atMost("all, the making of lists and questions included, " + of, scale * wall(), "s", 600));
        if (count < POOL && pilotPeak == 0) {
            rows.add(BenchRow.plain("peak memory, mapped files included, " + count + " uids", peak() / GIB, "GiB"));
        } else {
            // What a uid takes is what this run took beyond its pilot.
            double each = count < POOL ? (peak() - pilotPeak) / (double) (count - pilotCount) : 0;
            rows.add(BenchRow.atMost(
                    "peak memory, mapped files included, " + of, (peak() + each * (POOL - count)) / GIB, "GiB", 4));
        }
        return rows;
    }

    private List<BenchRow> parts(String of, double scale) {
        List<BenchRow> rows = new ArrayList<>();
        for (Part part : parts.values()) {
            rows.add(BenchRow.plain(part.name() + ", " + of, scale * part.seconds(), "s"));
            rows.add(BenchRow.plain(part.name() + ", " + of, scale * part.cpuSeconds(), "processor s"));
        }
        return rows;
    }

    private List<BenchRow> conversations(Path folder, long count, Path tokenizer) throws IOException {
        long samples = ConversationBench.index(folder, tokenizer, count, this::done);
        if (samples != count) {
            throw new TrainerException(ExitCode.InternalError, samples + " samples of " + count + " conversations");
        }
        double scale = CONVERSATIONS / count;
        String of = count == CONVERSATIONS ? "10 M conversations" : "10 M conversations, extrapolated from " + count;
        List<BenchRow> rows = parts(of, scale);
        rows.add(BenchRow.atMost("all, the making of the file included, " + of, scale * wall(), "s", 600));
        rows.add(BenchRow.atMost("peak memory, " + count + " conversations", peak() / GIB, "GiB", 1));
        return rows;
    }

    private double wall() {
        return parts.values().stream().mapToDouble(Part::seconds).sum();
    }

    private double cpuTotal() {
        return parts.values().stream().mapToDouble(Part::cpuSeconds).sum();
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static long peak() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
                .findFirst()
                .orElse(0);
    }

    private static long cpu() {
        return ManagementFactory.getPlatformMXBean(com.sun.management.OperatingSystemMXBean.class)
                .getProcessCpuTime();
    }
}
