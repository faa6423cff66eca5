package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.spec.Pack;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.data.ConversationBench;
import io.vlmoperator.trainer.data.DataBench;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** {@code vlm-trainer bench-data pack|select|conversations N}: what {@code make bench-pack} and its like run. */
final class DataBenchCommand {
    /** Captions of the paper's final mixture, and uids of DataComp's medium pool. */
    private static final double PAPER_SAMPLES = 28.4e6;

    private static final double POOL = 128e6;
    private static final double CONVERSATIONS = 10e6;
    private static final double GIB = 1L << 30;

    private final List<Part> parts = new ArrayList<>();
    private long lastWall = System.nanoTime();
    private long lastCpu = cpu();

    /**
     * @param seconds of the whole part, {@code cpuSeconds} of all threads
     */
    private record Part(String name, double seconds, double cpuSeconds) {}

    private DataBenchCommand() {}

    static int run(List<String> words, PrintStream out) {
        Arguments arguments =
                Arguments.parse(words, List.of("--algorithm", "--folder", "--json", "--tokenizer"), List.of());
        if (arguments.words().size() != 2 || !arguments.words().get(1).matches("[1-9]\\d{0,8}")) {
            throw TrainerException.configuration(
                    "write: bench-data pack|select|conversations N [--algorithm A] [--tokenizer DIR] [--folder DIR] [--json FILE]");
        }
        String what = arguments.words().getFirst();
        long count = Long.parseLong(arguments.words().get(1));
        try {
            Path parent = Path.of(arguments.one("--folder").orElse(System.getProperty("java.io.tmpdir")));
            Path folder = Files.createTempDirectory(parent, "vlm-bench-");
            try {
                DataBenchCommand bench = new DataBenchCommand();
                List<BenchRow> rows = switch (what) {
                    case "pack" ->
                        bench.pack(folder, count, arguments.one("--algorithm").orElse("FirstFitDecreasing"));
                    case "select" -> bench.select(folder, count);
                    case "conversations" ->
                        bench.conversations(
                                folder,
                                count,
                                Path.of(arguments
                                        .one("--tokenizer")
                                        .orElseThrow(() ->
                                                TrainerException.configuration("conversations need --tokenizer DIR"))));
                    default -> throw TrainerException.configuration("write: bench-data pack|select|conversations N");
                };
                BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/" + what + ".json")), out);
            } finally {
                delete(folder);
            }
        } catch (IOException e) {
            throw TrainerException.storage("the benchmark's folder: " + e, e);
        }
        return ExitCode.Completed.code();
    }

    private void done(String name) {
        long wall = System.nanoTime();
        long cpu = cpu();
        parts.add(new Part(name, (wall - lastWall) / 1e9, (cpu - lastCpu) / 1e9));
        lastWall = wall;
        lastCpu = cpu;
    }

    private List<BenchRow> pack(Path folder, long count, String algorithm) throws IOException {
        DataBench.Packed result = DataBench.pack(folder, count, Pack.Algorithm.valueOf(algorithm), this::done);
        double scale = PAPER_SAMPLES / count;
        String of = count == PAPER_SAMPLES ? "28.4 M samples" : "28.4 M samples, extrapolated from " + count;
        List<BenchRow> rows = new ArrayList<>();
        for (Part part : parts) {
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
        DataBench.Selected result = DataBench.select(folder, count, this::done);
        if (result.kept() != (count + 1) / 2) {
            throw new TrainerException(
                    ExitCode.InternalError, "kept " + result.kept() + " of " + count + "; every second one is meant");
        }
        double scale = POOL / count;
        String of = count == POOL ? "128 M uids" : "128 M uids, extrapolated from " + count;
        List<BenchRow> rows = new ArrayList<>();
        for (Part part : parts) {
            rows.add(BenchRow.plain(part.name() + ", " + of, scale * part.seconds(), "s"));
        }
        rows.add(BenchRow.atMost("peak memory, mapped files included, " + count + " uids", peak() / GIB, "GiB", 4));
        return rows;
    }

    private List<BenchRow> conversations(Path folder, long count, Path tokenizer) throws IOException {
        long samples = ConversationBench.index(folder, tokenizer, count, this::done);
        if (samples != count) {
            throw new TrainerException(ExitCode.InternalError, samples + " samples of " + count + " conversations");
        }
        double scale = CONVERSATIONS / count;
        String of = count == CONVERSATIONS ? "10 M conversations" : "10 M conversations, extrapolated from " + count;
        List<BenchRow> rows = new ArrayList<>();
        for (Part part : parts) {
            rows.add(BenchRow.plain(part.name() + ", " + of, scale * part.seconds(), "s"));
            rows.add(BenchRow.plain(part.name() + ", " + of, scale * part.cpuSeconds(), "processor s"));
        }
        rows.add(BenchRow.atMost("peak memory, " + count + " conversations", peak() / GIB, "GiB", 1));
        return rows;
    }

    private double wall() {
        return parts.stream().mapToDouble(Part::seconds).sum();
    }

    private double cpuTotal() {
        return parts.stream().mapToDouble(Part::cpuSeconds).sum();
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
