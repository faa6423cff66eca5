package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.train.StopSignal;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Ranks of one job as processes of this machine: each runs {@code vlm-trainer worker}. They end together: a wish to stop goes to all as
 * SIGTERM, and when one fails the others get it too. Used by one thread.
 */
final class ChildProcesses implements AutoCloseable {
    /** Ranks that only wait for a lost one find out by themselves within this time, and say more. */
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(2);

    private static final Duration LOOK = Duration.ofMillis(50);

    /** For the last lines of a process that has ended; one of its own children may hold the pipe open. */
    private static final Duration LAST_LINES = Duration.ofSeconds(5);

    private record Child(int rank, Process process, Path words, Thread copier) {}

    private final Path folder;
    private final Consumer<String> log;
    private final List<Child> children = new ArrayList<>();

    /**
     * @param folder for the last words of each
     * @param log gets all that they print, with the rank in front
     */
    ChildProcesses(Path folder, Consumer<String> log) {
        this.folder = folder;
        this.log = log;
    }

    /** Starts one with exactly this environment, and a termination log of its own. */
    void start(int rank, Map<String, String> environment) throws IOException {
        Path words = folder.resolve("termination-" + rank + ".json");
        ProcessBuilder builder = new ProcessBuilder(command("worker"));
        builder.environment().clear();
        builder.environment().putAll(environment);
        builder.environment().put(PodEnvironment.TERMINATION_LOG, words.toString());
        Process process = builder.redirectErrorStream(true).start();
        Thread copier = Thread.ofPlatform().daemon().start(() -> copy(process, rank));
        children.add(new Child(rank, process, words, copier));
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

    private void copy(Process process, int rank) {
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.accept("   [" + rank + "] " + line);
            }
        } catch (IOException e) {
            log.accept("   [" + rank + "] no more lines: " + e.getMessage());
        }
    }

    /**
     * Waits until all have ended.
     *
     * @param patience between SIGTERM and SIGKILL
     * @return the first rank's last words when all is well, otherwise those of the one that failed by itself
     */
    TerminationMessage await(StopSignal stop, Duration patience) throws IOException {
        long killAt = 0;
        boolean ending = false;
        try {
            while (children.stream().anyMatch(child -> child.process().isAlive())) {
                boolean failed = children.stream()
                        .anyMatch(child ->
                                !child.process().isAlive() && child.process().exitValue() != 0);
                if (!ending && (failed || stop.requested().isPresent())) {
                    if (failed) {
                        Thread.sleep(AFTER_FAILURE);
                    }
                    // Through the handle: Process.destroy would close the pipe that its last lines come through.
                    children.forEach(child -> child.process().toHandle().destroy());
                    ending = true;
                    killAt = System.nanoTime() + patience.toNanos();
                }
                if (ending && System.nanoTime() - killAt > 0) {
                    close();
                }
                Thread.sleep(LOOK);
            }
            for (Child child : children) {
                child.copier().join(LAST_LINES);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return cause();
    }

    /** Ends all that still run, at once. */
    @Override
    public void close() {
        children.forEach(child -> child.process().destroyForcibly());
    }

    /** One that only lost a peer, or was told to end, is never the cause while another one is. */
    private TerminationMessage cause() throws IOException {
        TerminationMessage words = new TerminationMessage(
                ExitCode.InternalError.name(), "no worker ran", null, null, null, null, null, null, null, null);
        int severity = -1;
        for (Child child : children) {
            int exit = child.process().isAlive() ? 137 : child.process().exitValue();
            ExitCode code = ExitCode.of(exit).orElse(ExitCode.InternalError);
            int own = switch (code.failureClass()) {
                case None -> 0;
                case Preempted -> 1;
                case Peer -> 2;
                case Hang -> 3;
                default -> code == ExitCode.Terminated ? 1 : 4;
            };
            if (own > severity) {
                severity = own;
                words = Files.exists(child.words())
                        ? Ending.read(child.words())
                        : new TerminationMessage(
                                code.name(),
                                "worker " + child.rank() + " ended with code " + exit + " without a word",
                                null,
                                null,
                                null,
                                null,
                                child.rank(),
                                null,
                                null,
                                null);
            }
        }
        return words;
    }
}
