package io.vlmoperator.trainer.train;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.model.Parameter;
import io.vlmoperator.trainer.model.Weights;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** What a run needs of memory and disk, against what is there; checked before the first step. */
record Budget(
        long trained,
        long frozen,
        boolean rounded,
        long heapBytes,
        long memoryBytes,
        long checkpointBytes,
        long freeDiskBytes) {
    private static final Path CGROUP_LIMIT = Path.of("/sys/fs/cgroup/memory.max");
    private static final long MIB = 1 << 20;

    /** Weights, gradients and two moments of the trained ones, 4 bytes each. */
    private static final int BYTES_TRAINED = 16;

    private static final int BYTES_CHECKPOINT = 12;
    private static final int BYTES_FROZEN = 4;

    /** The copies that layers compute with in BFLOAT16. */
    private static final int BYTES_ROUNDED = 2;

    /** @param rounded whether layers compute in BFLOAT16 */
    static Budget of(Weights weights, boolean rounded, Path folder) throws IOException {
        long trained = weights.trained().stream().mapToLong(Parameter::count).sum();
        long all = weights.parameters().stream().mapToLong(Parameter::count).sum();
        FileStore store = Files.getFileStore(folder);
        return new Budget(
                trained,
                all - trained,
                rounded,
                Runtime.getRuntime().maxMemory(),
                memoryLimit(),
                trained * BYTES_CHECKPOINT + (all - trained) * BYTES_FROZEN,
                store.getUsableSpace());
    }

    private static long memoryLimit() throws IOException {
        long machine = ((com.sun.management.OperatingSystemMXBean)
                        java.lang.management.ManagementFactory.getOperatingSystemMXBean())
                .getTotalMemorySize();
        if (Files.isReadable(CGROUP_LIMIT)) {
            String limit = Files.readString(CGROUP_LIMIT).strip();
            if (limit.matches("\\d{1,18}")) {
                return Math.min(machine, Long.parseLong(limit));
            }
        }
        return machine;
    }

    private long stateBytes() {
        return trained * bytesTrained() + frozen * bytesFrozen();
    }

    private int bytesTrained() {
        return BYTES_TRAINED + (rounded ? BYTES_ROUNDED : 0);
    }

    private int bytesFrozen() {
        return BYTES_FROZEN + (rounded ? BYTES_ROUNDED : 0);
    }

    String table() {
        return String.format(
                Locale.ROOT,
                "memory: %,d trained weights x %d B + %,d frozen x %d B = %,d MiB, Java heap at most %,d MiB, activations on"
                        + " top; there is %,d MiB. disk: %,d MiB a checkpoint, %,d MiB free",
                trained,
                bytesTrained(),
                frozen,
                bytesFrozen(),
                stateBytes() / MIB,
                heapBytes / MIB,
                memoryBytes / MIB,
                checkpointBytes / MIB,
                freeDiskBytes / MIB);
    }

    /** @throws TrainerException DoesNotFit with the table */
    void require() {
        if (stateBytes() > memoryBytes) {
            throw new TrainerException(ExitCode.DoesNotFit, "the model does not fit. " + table());
        }
        // While one is written the one before it is kept.
        if (checkpointBytes > freeDiskBytes) {
            throw new TrainerException(ExitCode.DoesNotFit, "no checkpoint fits on the disk. " + table());
        }
    }
}
