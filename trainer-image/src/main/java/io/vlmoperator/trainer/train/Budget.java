package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.ModelConfig;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Part;
import io.vlmoperator.trainer.op.Device;
import io.vlmoperator.trainer.op.Gpus;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.plan.StateMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * What a worker needs of memory and disk, against what is there; checked before anything large is allocated. Only what every run of the
 * model needs for certain is counted: activations and the growth of the Java heap come on top.
 *
 * @param rows of memory
 * @param there memory for all processes of this pod
 * @param gpu memory of this process's GPU; empty where the processor computes
 * @param processes of this pod, each of which needs as much
 * @param checkpointBytes of one checkpoint of all workers
 * @param freeDiskBytes where checkpoints are written
 */
record Budget(List<Row> rows, Room there, Optional<Room> gpu, int processes, long checkpointBytes, long freeDiskBytes) {
    private static final long MIB = 1 << 20;
    private static final int FLOAT32 = 4;

    /**
     * One kind of memory.
     *
     * @param computed whether layers and optimizer work on it: it lies on the GPU where there is one
     */
    record Row(String what, long bytes, boolean computed) {}

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
        StateMemory state = StateMemory.of(trained, frozen, rounded, world);
        String divided = world == 1 ? "" : ", divided by " + world + " workers";
        boolean shards = rounded && world > 1;
        Optional<Room> gpu = ownGpu();
        rows.add(new Row(number(trained) + " trained weights x 4 B" + (shards ? divided : ""), state.masters(), true));
        rows.add(new Row("their gradients", state.gradients(), true));
        rows.add(new Row("their two moments" + divided, state.moments(), true));
        if (shards) {
            // All are there at first; what is allocated after they have been divided takes their place.
            long later = state.moments() + (gpu.isPresent() ? 0 : state.staging());
            rows.add(
                    new Row("all trained weights while they are loaded", Math.max(0, trained * FLOAT32 - later), true));
        }
        if (frozen > 0) {
            rows.add(new Row(number(frozen) + " frozen weights x 4 B", state.frozen(), true));
        }
        if (rounded) {
            rows.add(new Row("all weights in BFLOAT16", state.rounded(), true));
        }
        rows.add(new Row("copy of the state that is being saved" + divided, state.staging(), false));
        rows.add(new Row("JVM and libtorch, so far", residentBytes(), false));
        return new Budget(
                rows,
                Room.here(),
                gpu,
                processes,
                trained * StateMemory.SAVED + frozen * FLOAT32,
                Files.getFileStore(folder).getUsableSpace());
    }

    private static Optional<Room> ownGpu() {
        Torch torch = Torch.start();
        Device device = torch.device();
        if (device.isHost() || device.index() >= torch.gpus().all().size()) {
            return Optional.empty();
        }
        Gpus.Gpu gpu = torch.gpus().all().get(device.index());
        return Optional.of(new Room(gpu.bytes(), gpu.name()));
    }

    private static long count(ModelConfig model, Set<Part> parts, boolean trained) {
        return model.parameters().stream()
                .filter(p -> parts.contains(p.part()) == trained)
                .mapToLong(Parameter::count)
                .sum();
    }

    private long onGpu() {
        return gpu.isEmpty()
                ? 0
                : rows.stream().filter(Row::computed).mapToLong(Row::bytes).sum();
    }

    private long onHost() {
        return (rows.stream().mapToLong(Row::bytes).sum() - onGpu()) * processes;
    }

    /** Several lines for people. */
    String table() {
        List<String> lines = new ArrayList<>();
        lines.add("memory of a worker, MiB:");
        gpu.ifPresent(room -> {
            rows.stream().filter(Row::computed).forEach(row -> lines.add(line(row.what(), row.bytes())));
            lines.add(line("together on the GPU", onGpu()));
            lines.add(line("there is (" + room.limitedBy() + ")", room.bytes()));
        });
        rows.stream()
                .filter(row -> gpu.isEmpty() || !row.computed())
                .forEach(row -> lines.add(line(row.what(), row.bytes())));
        lines.add(
                line("together" + (processes == 1 ? "" : ", times " + processes + " processes of this pod"), onHost()));
        lines.add(
                there.bytes() == Long.MAX_VALUE
                        ? "  how much is there is unknown"
                        : line("there is (" + there.limitedBy() + ")", there.bytes()));
        lines.add(String.format(
                Locale.ROOT,
                "  activations, and a Java heap of at most %,d, come on top",
                Runtime.getRuntime().maxMemory() / MIB));
        lines.add(String.format(
                Locale.ROOT,
                "disk, MiB: %,d a checkpoint, %,d free",
                Math.ceilDiv(checkpointBytes, MIB),
                freeDiskBytes / MIB));
        return String.join("\n", lines);
    }

    private static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    private static String line(String what, long bytes) {
        return String.format(Locale.ROOT, "  %-60s %,12d", what, Math.ceilDiv(bytes, MIB));
    }

    /** @throws TrainerException DoesNotFit with the table */
    void require() {
        if (gpu.isPresent() && onGpu() > gpu.get().bytes()) {
            throw refused("the model does not fit into the GPU's memory; use larger GPUs, or train fewer parts");
        }
        if (onHost() > there.bytes()) {
            throw refused("the model does not fit into memory; give the workers more, or train fewer parts");
        }
        // While one is written the one before it is kept.
        if (checkpointBytes > freeDiskBytes) {
            throw refused("no checkpoint fits on the disk; enlarge the claim or delete what is not needed");
        }
    }

    private TrainerException refused(String why) {
        // Last words are one line, and short.
        return new TrainerException(ExitCode.DoesNotFit, why + ". " + table().replaceAll(" {3,}", ": "));
    }
}
