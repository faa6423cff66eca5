package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.FrozenJob;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.train.StopSignal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Runs one job in several processes of this machine, each as a pod would run it. */
final class Children {
    private static final int FIRST_PORT = 21_000;
    private static final int LAST_PORT = 31_000;
    private static final long KILL_AFTER_SECONDS = 40;

    private Children() {}

    static TerminationMessage run(
            FrozenJob job,
            Map<String, Path> mounts,
            Map<String, String> environment,
            StopSignal stop,
            Consumer<String> log)
            throws IOException {
        Path folder = Files.createTempDirectory("vlm-trainer-");
        List<Process> processes = new ArrayList<>();
        try {
            Path root = Files.createDirectory(folder.resolve("mnt"));
            for (Map.Entry<String, Path> mount : mounts.entrySet()) {
                Files.createSymbolicLink(root.resolve(mount.getKey()), mount.getValue());
            }
            Path jobFile = folder.resolve(FrozenJob.FILE);
            Files.write(jobFile, Json.bytes(job));
            int port = freePorts(job.nodes());
            String secret = PeerSecret.random().text();
            int cpus = Math.max(1, Runtime.getRuntime().availableProcessors() / job.nodes());
            for (int index = 0; index < job.nodes(); index++) {
                ProcessBuilder builder = new ProcessBuilder(command("worker"));
                Map<String, String> child = builder.environment();
                child.clear();
                child.putAll(environment);
                child.put(PodEnvironment.JOB_FILE, jobFile.toString());
                child.put(PodEnvironment.MOUNT_ROOT, root.toString());
                child.put(PodEnvironment.TERMINATION_LOG, words(folder, index).toString());
                child.put(PodEnvironment.RENDEZVOUS, "127.0.0.1:" + port);
                child.put(PodEnvironment.PEER_SECRET, secret);
                child.put(PodEnvironment.COMPLETION_INDEX, Integer.toString(index));
                child.put(PodEnvironment.CPUS, Integer.toString(cpus));
                child.put(PodEnvironment.GRACE_SECONDS, "30");
                child.put("VLM_POD_ADDRESS", "127.0.0.1");
                Process process = builder.redirectErrorStream(true).start();
                processes.add(process);
                int rank = index;
                Thread.ofPlatform().daemon().start(() -> copy(process, rank, log));
            }
            await(processes, stop);
            return worst(job, folder, processes);
        } finally {
            processes.forEach(Process::destroyForcibly);
            delete(folder);
        }
    }

    /** This program in another process, with these words. */
    static List<String> command(String... words) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(a -> a.startsWith("-X") || a.startsWith("-D") || a.startsWith("--enable-native-access"))
                .toList());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(List.of(words));
        return command;
    }

    private static void copy(Process process, int rank, Consumer<String> log) {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.accept("   [" + rank + "] " + line);
            }
        } catch (IOException e) {
            log.accept("   [" + rank + "] no more lines: " + e.getMessage());
        }
    }

    /** Waits for all; when one fails or somebody wants to stop, the others get SIGTERM, and some time later SIGKILL. */
    private static void await(List<Process> processes, StopSignal stop) {
        long killAt = Long.MAX_VALUE;
        try {
            while (processes.stream().anyMatch(Process::isAlive)) {
                boolean failed = processes.stream().anyMatch(p -> !p.isAlive() && p.exitValue() != 0);
                if (killAt == Long.MAX_VALUE && (failed || stop.requested().isPresent())) {
                    // Those that only wait for a lost one find out by themselves; SIGTERM is for the rest.
                    Thread.sleep(failed ? 2000 : 0);
                    // Through the handle: Process.destroy would close the pipe that its last lines come through.
                    processes.forEach(p -> p.toHandle().destroy());
                    killAt = System.nanoTime() + TimeUnit.SECONDS.toNanos(KILL_AFTER_SECONDS);
                }
                if (System.nanoTime() > killAt) {
                    processes.forEach(Process::destroyForcibly);
                }
                Thread.sleep(50);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Rank 0's last words when all is well; otherwise those of the one that failed by itself. */
    private static TerminationMessage worst(FrozenJob job, Path folder, List<Process> processes) throws IOException {
        TerminationMessage words = new TerminationMessage(
                ExitCode.InternalError.name(), "no worker ran", null, null, null, null, null, null, null, null);
        int severity = -1;
        for (int index = 0; index < job.nodes(); index++) {
            int exit =
                    processes.get(index).isAlive() ? 137 : processes.get(index).exitValue();
            ExitCode code = ExitCode.of(exit).orElse(ExitCode.InternalError);
            int rank = switch (code.failureClass()) {
                case None -> 0;
                case Preempted -> 1;
                case Peer -> 2;
                case Hang -> 3;
                default -> 4;
            };
            if (rank > severity) {
                severity = rank;
                Path file = words(folder, index);
                words = Files.exists(file)
                        ? Ending.read(file)
                        : new TerminationMessage(
                                code.name(),
                                "worker " + index + " ended with code " + exit + " without a word",
                                null,
                                null,
                                null,
                                null,
                                index,
                                null,
                                null,
                                null);
            }
        }
        return words;
    }

    private static Path words(Path folder, int index) {
        return folder.resolve("termination-" + index + ".json");
    }

    private static int freePorts(int count) {
        int start = FIRST_PORT + (int) (ProcessHandle.current().pid() % 500) * 16;
        for (int port = start; port + count < LAST_PORT; port += 16) {
            if (free(port, count)) {
                return port;
            }
        }
        throw new IllegalStateException("no free ports from " + start + " to " + LAST_PORT);
    }

    private static boolean free(int port, int count) {
        for (int i = 0; i < count; i++) {
            try (ServerSocket socket = new ServerSocket()) {
                socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port + i));
            } catch (IOException e) {
                return false;
            }
        }
        return true;
    }

    private static void delete(Path folder) throws IOException {
        try (var all = Files.walk(folder)) {
            for (Path path : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
