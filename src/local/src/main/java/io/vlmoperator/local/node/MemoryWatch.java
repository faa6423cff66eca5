package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Quantity;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Supplier;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Enforces memory limits by looking: a container whose processes together hold more memory of their own (anonymous and shared memory, as
 * a control group counts what it cannot give back) than its limit is killed with the reason OOMKilled. A short peak between two looks
 * passes unseen.
 */
final class MemoryWatch implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(MemoryWatch.class.getName());
    private static final Duration EVERY = Duration.ofSeconds(1);

    private final Supplier<Collection<PodRunner>> pods;
    private final ConcurrentMap<String, Long> squeezed = new ConcurrentHashMap<>();
    private final Thread thread = Thread.ofVirtual().name("memory watch").unstarted(this::run);

    MemoryWatch(Supplier<Collection<PodRunner>> pods) {
        this.pods = pods;
    }

    /** From now on the containers of a pod may hold no more than this, whatever their limits say. */
    void squeeze(String namespace, String pod, long bytes) {
        squeezed.put(namespace + "/" + pod, bytes);
    }

    private OptionalLong squeezed(PodRunner pod) {
        Long bytes = squeezed.get(pod.pod().getMetadata().getNamespace() + "/"
                + pod.pod().getMetadata().getName());
        return bytes == null ? OptionalLong.empty() : OptionalLong.of(bytes);
    }

    void start() {
        thread.start();
    }

    private void run() {
        try {
            while (true) {
                Thread.sleep(EVERY);
                try {
                    pods.get().forEach(pod -> pod.all().forEach(container -> look(container, squeezed(pod))));
                } catch (RuntimeException e) {
                    LOG.log(Level.FINE, "a process ended while it was looked at", e);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // closing
        }
    }

    private static void look(ContainerRunner container, OptionalLong squeezed) {
        Optional<Long> own = Optional.ofNullable(container.container().getResources())
                .flatMap(resources -> Optional.ofNullable(resources.getLimits()))
                .flatMap(limits -> Optional.ofNullable(limits.get("memory")))
                .map(quantity -> Quantity.getAmountInBytes(quantity).longValue());
        Optional<Long> limit = squeezed.isPresent() ? Optional.of(squeezed.getAsLong()) : own;
        Optional<ContainerProcess> process = container.process();
        if (limit.isEmpty() || process.isEmpty()) {
            return;
        }
        long bytes = process.get().program().stream()
                        .flatMap(program -> Proc.session(program.pid()).stream())
                        .mapToLong(member -> member.statusKiB("RssAnon").orElse(0)
                                + member.statusKiB("RssShmem").orElse(0))
                        .sum()
                * 1024;
        if (bytes > limit.get()) {
            container.markOutOfMemory();
            process.get().kill();
        }
    }

    /** The memory of this machine. */
    static long machineBytes() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
                if (line.startsWith("MemTotal:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
                }
            }
        } catch (IOException e) {
            throw new java.io.UncheckedIOException("cannot read /proc/meminfo", e);
        }
        throw new IllegalStateException("/proc/meminfo has no MemTotal");
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
