package io.vlmoperator.demo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/** Peak resident memory of the pods that the local node runs, read from {@code /proc}: pod name to MiB. */
final class Memory {
    private static final String MARK = "VLM_POD_ROOT=";

    private final Path cluster;
    private final Map<String, Long> peaks = new TreeMap<>();

    /** @param cluster the run folder of the local cluster; pods of another cluster are not counted */
    Memory(Path cluster) {
        this.cluster = cluster.toAbsolutePath().normalize();
    }

    void sample() {
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                sample(process);
            }
        } catch (IOException ended) {
            // A process may end while it is read; the next sample is a second away.
        }
    }

    private void sample(Path process) {
        try {
            String environment = Files.readString(process.resolve("environ"), StandardCharsets.ISO_8859_1);
            if (!value(environment, MARK).startsWith(cluster.toString())) {
                return;
            }
            String pod = value(environment, "HOSTNAME=");
            for (String line : Files.readAllLines(process.resolve("status"))) {
                if (line.startsWith("VmHWM:")) {
                    peaks.merge(pod, Long.parseLong(line.replaceAll("\\D", "")) / 1024, Math::max);
                }
            }
        } catch (IOException | RuntimeException gone) {
            // Ended, or not ours to read.
        }
    }

    private static String value(String environment, String name) {
        int at = environment.startsWith(name) ? 0 : environment.indexOf('\0' + name) + 1;
        if (at == 0 && !environment.startsWith(name)) {
            return "";
        }
        int end = environment.indexOf('\0', at);
        return environment.substring(at + name.length(), end < 0 ? environment.length() : end);
    }

    /** Largest peak among the pods whose name begins so; 0 when none was seen. */
    long peak(String prefix) {
        return peaks.entrySet().stream()
                .filter(entry -> entry.getKey().startsWith(prefix))
                .mapToLong(Map.Entry::getValue)
                .max()
                .orElse(0);
    }

    /** Largest peak among the pods whose name does not begin so. */
    long peakOfOthers(String prefix) {
        return peaks.entrySet().stream()
                .filter(entry -> !entry.getKey().startsWith(prefix))
                .mapToLong(Map.Entry::getValue)
                .max()
                .orElse(0);
    }
}
