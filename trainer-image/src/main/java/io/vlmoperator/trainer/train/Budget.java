package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a worker needs of memory and disk, against what is there; checked before anything large is allocated. Only what every run of the
 * model needs for certain is counted: activations and the growth of the Java heap come on top.
 *
 * @param rows of memory
 * @param there memory for all processes of this pod
 * @param processes of this pod, each of which needs as much
 * @param checkpointBytes of one checkpoint of all workers
 * @param freeDiskBytes where checkpoints are written
 */
record Budget(List<Row> rows, Room there, int processes, long checkpointBytes, long freeDiskBytes) {
    private static final long MIB = 1 << 20;
    private static final int FLOAT32 = 4;
    private static final int BFLOAT16 = 2;
    /** Weight and two moments. */
    private static final int STATE = 3 * FLOAT32;

    /** One kind of memory. */
    record Row(String what, long bytes) {}

    /**
     * Memory that may be used.
     *
     * @param limitedBy for people
     */
    record Room(long bytes, String limitedBy) {
        private static final Path CGROUP = Path.of("/sys/fs/cgroup/memory.max");
        private static final Path CGROUP_V1 = Path.of("/sys/fs/cgroup/memory/memory.limit_in_bytes");
        private static final Path MEMINFO = Path.of("/proc/meminfo");

        /** The container's limit; without one, what the machine has left, and what this process has of it already. */
        static Room here() throws IOException {
            long machine = field(MEMINFO, "MemTotal:");
            for (Path file : List.of(CGROUP, CGROUP_V1)) {
                if (Files.isReadable(file)) {
                    String limit = Files.readString(file).strip();
                    if (limit.matches("\\d{1,18}") && Long.parseLong(limit) < machine) {
                        return new Room(Long.parseLong(limit), "the container's limit");
                    }
                }
            }
            long available = field(MEMINFO, "MemAvailable:");
            return available == 0
                    ? new Room(Long.MAX_VALUE, "unknown here")
                    : new Room(available + residentBytes(), "what the machine has left");
        }
    }

    /** What the trainer itself, with the JVM and libtorch, has in memory now. */
    static long residentBytes() throws IOException {
        return field(Path.of("/proc/self/status"), "VmRSS:");
    }

    private static long field(Path file, String name) throws IOException {
        if (!Files.isReadable(file)) {
            return 0;
        }
        try (var lines = Files.lines(file)) {
            return lines.filter(line -> line.startsWith(name))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                    .findFirst()
                    .orElse(0);
        }
    }

    /**
     * Of one worker.
     *
     * @param rounded whether layers compute in BFLOAT16
     * @param folder where checkpoints are written; exists
     * @param world workers, among which moments, the copy that is written, and with BFLOAT16 layers the master weights are divided
     */
    static Budget of(ModelConfig model, Set<Part> parts, boolean rounded, Path folder, int world, int processes)
            throws IOException {
        long trained = count(model, parts, true);
        long frozen = count(model, parts, false);
        List<Row> rows = new ArrayList<>();
        long share = Math.ceilDiv(trained, (long) world);
        String divided = world == 1 ? "" : ", divided by " + world + " workers";
        boolean shards = rounded && world > 1;
        rows.add(new Row(
                "%,d trained weights x 4 B%s".formatted(trained, shards ? divided : ""),
                (shards ? share : trained) * FLOAT32));
        rows.add(new Row("their gradients", trained * FLOAT32));
        rows.add(new Row("their two moments" + divided, share * 2 * FLOAT32));
        rows.add(new Row("copy of the state that is being saved", share * STATE));
        if (shards) {
            // All are there at first; what is allocated after they have been divided takes their place.
            long loading = trained * FLOAT32 - share * (2 * FLOAT32 + STATE);
            rows.add(new Row("all trained weights while they are loaded", Math.max(0, loading)));
        }
        if (frozen > 0) {
            rows.add(new Row("%,d frozen weights x 4 B".formatted(frozen), frozen * FLOAT32));
        }
        if (rounded) {
            rows.add(new Row("all weights in BFLOAT16", (trained + frozen) * BFLOAT16));
        }
        rows.add(new Row("JVM and libtorch, so far", residentBytes()));
        return new Budget(
                rows,
                Room.here(),
                processes,
                trained * STATE + frozen * FLOAT32,
                Files.getFileStore(folder).getUsableSpace());
    }

    private static long count(ModelConfig model, Set<Part> parts, boolean trained) {
        return model.parameters().stream()
                .filter(p -> parts.contains(p.part()) == trained)
                .mapToLong(Parameter::count)
                .sum();
    }

    private long sum() {
        return rows.stream().mapToLong(Row::bytes).sum();
    }

    /** Several lines for people. */
    String table() {
        String lines = rows.stream().map(row -> line(row.what(), row.bytes())).collect(Collectors.joining("\n"));
        String all = processes == 1 ? "together" : "together, times " + processes + " processes of this pod";
        return String.join(
                "\n",
                "memory of a worker, MiB:",
                lines,
                line(all, sum() * processes),
                there.bytes() == Long.MAX_VALUE
                        ? "  how much is there is unknown"
                        : line("there is (" + there.limitedBy() + ")", there.bytes()),
                "  activations, and a Java heap of at most %,d, come on top"
                        .formatted(Runtime.getRuntime().maxMemory() / MIB),
                "disk, MiB: %,d a checkpoint, %,d free".formatted(checkpointBytes / MIB, freeDiskBytes / MIB));
    }

    private static String line(String what, long bytes) {
        return String.format(Locale.ROOT, "  %-48s %,12d", what, Math.ceilDiv(bytes, MIB));
    }

    /** @throws TrainerException DoesNotFit with the table */
    void require() {
        if (sum() * processes > there.bytes()) {
            throw new TrainerException(
                    ExitCode.DoesNotFit,
                    "the model does not fit into memory; give the workers more, use more of them, or train fewer parts. "
                            + table());
        }
        // While one is written the one before it is kept.
        if (checkpointBytes > freeDiskBytes) {
            throw new TrainerException(
                    ExitCode.DoesNotFit,
                    "no checkpoint fits on the disk; enlarge the claim or delete what is not needed. " + table());
        }
    }
}
