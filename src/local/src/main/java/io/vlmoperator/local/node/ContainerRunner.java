package io.vlmoperator.local.node;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.LifecycleHandler;
import io.fabric8.kubernetes.api.model.Probe;
import io.vlmoperator.local.Files2;
import io.vlmoperator.local.Proc;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.BiConsumer;

/**
 * One container of a pod: its starts, its probes, how it ended. Used by its pod's thread only, but for the probe results and the flag of
 * the memory watch.
 */
final class ContainerRunner {
    private static final int MESSAGE_BYTES = 4096;
    private static final int LOG_MESSAGE_LINES = 80;
    private static final int LOG_MESSAGE_BYTES = 2048;
    private static final Duration LONGEST_BACKOFF = Duration.ofSeconds(60);

    private final Container container;
    private final PodFolder folder;
    private final Runnable wake;
    private final BiConsumer<String, String> warn;

    private volatile ContainerState state = new ContainerState.Waiting("ContainerCreating", "");
    private Optional<ContainerState.Ended> last = Optional.empty();
    private Optional<Path> terminationLog = Optional.empty();
    private Optional<Probes> probes = Optional.empty();
    private volatile int number;
    private volatile boolean begun;
    private Instant notBefore = Instant.MIN;
    private Duration backoff = Duration.ZERO;
    private volatile boolean started;
    private volatile boolean ready;
    private volatile boolean unhealthy;
    private volatile boolean outOfMemory;

    /**
     * @param wake called when something happened that the pod's thread should look at
     * @param warn takes reason and message of a warning event
     */
    ContainerRunner(Container container, PodFolder folder, Runnable wake, BiConsumer<String, String> warn) {
        this.container = container;
        this.folder = folder;
        this.wake = wake;
        this.warn = warn;
    }

    /** What is kept on disk. Null stands for "none" in this record only. */
    record Saved(int number, long startedAtMillis, String terminationLog, SavedEnd ended, SavedEnd last) {}

    /** How a start ended, on disk. */
    record SavedEnd(
            int exitCode, String reason, String message, long startedAtMillis, long finishedAtMillis, int number) {
        static SavedEnd of(ContainerState.Ended ended) {
            return new SavedEnd(
                    ended.exitCode(),
                    ended.reason(),
                    ended.message(),
                    ended.startedAt().toEpochMilli(),
                    ended.finishedAt().toEpochMilli(),
                    ended.number());
        }

        ContainerState.Ended ended() {
            return new ContainerState.Ended(
                    exitCode,
                    reason,
                    message,
                    Instant.ofEpochMilli(startedAtMillis),
                    Instant.ofEpochMilli(finishedAtMillis),
                    number);
        }
    }

    private Path savedFile() {
        return folder.container(container.getName()).resolve("state.json");
    }

    private void save() {
        ContainerState.Ended ended = state instanceof ContainerState.Ended now ? now : null;
        long startedAt = state instanceof ContainerState.Running running
                ? running.startedAt().toEpochMilli()
                : 0;
        PodFolder.write(
                savedFile(),
                new Saved(
                        number,
                        startedAt,
                        terminationLog.map(Path::toString).orElse(null),
                        ended == null ? null : SavedEnd.of(ended),
                        last.map(SavedEnd::of).orElse(null)));
    }

    /** Takes up what a node that ran before left; its probes begin when {@link #adoptProbes} says how. */
    boolean adopt() {
        Optional<Saved> saved = PodFolder.read(savedFile(), Saved.class);
        if (saved.isEmpty()) {
            return false;
        }
        begun = true;
        number = saved.get().number();
        last = Optional.ofNullable(saved.get().last()).map(SavedEnd::ended);
        terminationLog = Optional.ofNullable(saved.get().terminationLog()).map(Path::of);
        if (saved.get().ended() != null) {
            state = saved.get().ended().ended();
        } else {
            Optional<ContainerProcess> process = ContainerProcess.readShim(folder.start(container.getName(), number));
            if (process.isPresent()) {
                Instant at = Instant.ofEpochMilli(saved.get().startedAtMillis());
                state = new ContainerState.Running(process.get(), at);
                watch(process.get());
            } else {
                state = lost(Instant.now());
            }
        }
        return true;
    }

    /** The start that this container had when a node whose folder is gone ran it. */
    void adoptNothing() {
        begun = true;
        state = lost(Instant.now());
        save();
    }

    private ContainerState.Ended lost(Instant now) {
        return new ContainerState.Ended(
                137,
                "ContainerStatusUnknown",
                "the process could not be found when the node was started again",
                now,
                now,
                number);
    }

    Container container() {
        return container;
    }

    String name() {
        return container.getName();
    }

    ContainerState state() {
        return state;
    }

    boolean begun() {
        return begun;
    }

    int number() {
        return number;
    }

    Optional<ContainerProcess> process() {
        return state instanceof ContainerState.Running running ? Optional.of(running.process()) : Optional.empty();
    }

    StatusBuilder.ContainerView view(String uid) {
        String id = "process://" + uid + "/" + name() + "/" + number;
        return new StatusBuilder.ContainerView(name(), container.getImage(), state, last, number, started, ready, id);
    }

    /** It cannot be started now; says why in its status. */
    void waiting(String reason, String message) {
        if (!(state instanceof ContainerState.Running)) {
            if (state instanceof ContainerState.Ended ended) {
                last = Optional.of(ended);
            }
            state = new ContainerState.Waiting(reason, message);
        }
    }

    /** Whether it should be started now: not running, and not resting after a crash. */
    boolean due(StatusBuilder.RestartPolicy policy, Instant now) {
        return switch (state) {
            case ContainerState.Running running -> false;
            case ContainerState.Waiting waiting -> !now.isBefore(notBefore);
            case ContainerState.Ended ended -> policy.restarts(ended.exitCode()) && !now.isBefore(notBefore);
        };
    }

    /** When it is due, if it rests. */
    Optional<Instant> restsUntil() {
        return notBefore.isAfter(Instant.now()) ? Optional.of(notBefore) : Optional.empty();
    }

    /** Shows the rest between two starts as the kubelet does. */
    void showBackoff(StatusBuilder.RestartPolicy policy) {
        if (state instanceof ContainerState.Ended ended
                && policy.restarts(ended.exitCode())
                && notBefore.isAfter(Instant.now())) {
            last = Optional.of(ended);
            state = new ContainerState.Waiting(
                    "CrashLoopBackOff", "back-off " + backoff.toSeconds() + "s restarting failed container=" + name());
        }
    }

    /** Starts the program. */
    void start(ContainerSetup.Invocation invocation, Probes asker) throws IOException {
        if (begun) {
            if (state instanceof ContainerState.Ended ended) {
                last = Optional.of(ended);
            }
            number++;
            if (number >= 2) {
                Files2.deleteTree(folder.start(name(), number - 2)); // the log of the last start is kept, no more
            }
        }
        begun = true;
        unhealthy = false;
        outOfMemory = false;
        started = container.getStartupProbe() == null;
        ready = started && container.getReadinessProbe() == null;
        terminationLog = Optional.of(invocation.terminationLog());
        ContainerProcess process = ContainerProcess.start(
                folder.start(name(), number),
                invocation.workingFolder(),
                invocation.command(),
                invocation.environment());
        state = new ContainerState.Running(process, Instant.now());
        save();
        watch(process);
        probe(asker, process);
        hook("postStart", asker);
    }

    private void hook(String name, Probes asker) {
        LifecycleHandler handler = container.getLifecycle() == null
                ? null
                : container.getLifecycle().getPostStart();
        if (handler != null) {
            Thread.ofVirtual().start(() -> {
                try {
                    run(handler, asker, Duration.ofSeconds(30))
                            .ifPresent(problem -> warn.accept("FailedPostStartHook", name + " failed: " + problem));
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
        }
    }

    private static Optional<String> run(LifecycleHandler handler, Probes asker, Duration limit)
            throws InterruptedException {
        if (handler.getExec() != null) {
            return asker.exec(handler.getExec(), limit);
        }
        if (handler.getHttpGet() != null) {
            return asker.http(handler.getHttpGet(), limit);
        }
        if (handler.getSleep() != null) {
            Thread.sleep(Math.min(limit.toMillis(), handler.getSleep().getSeconds() * 1000L));
        }
        return Optional.empty();
    }

    /** Goes on with the probes of a container that was taken up running. */
    void adoptProbes(Probes asker) {
        if (state instanceof ContainerState.Running running) {
            started = container.getStartupProbe() == null;
            ready = started && container.getReadinessProbe() == null;
            probe(asker, running.process());
        }
    }

    private void watch(ContainerProcess process) {
        ProcessHandle.of(process.shim().pid())
                .ifPresent(handle -> handle.onExit().thenRun(wake));
    }

    private void probe(Probes asker, ContainerProcess process) {
        probes = Optional.of(asker);
        if (container.getStartupProbe() != null) {
            loop("Startup", container.getStartupProbe(), asker, process, false);
        } else {
            probeWhenStarted(asker, process);
        }
    }

    private void probeWhenStarted(Probes asker, ContainerProcess process) {
        if (container.getReadinessProbe() != null) {
            loop("Readiness", container.getReadinessProbe(), asker, process, false);
        } else {
            ready = true;
        }
        if (container.getLivenessProbe() != null) {
            loop("Liveness", container.getLivenessProbe(), asker, process, true);
        }
    }

    /** One probe for as long as this start lasts. */
    private void loop(String kind, Probe probe, Probes asker, ContainerProcess process, boolean initially) {
        long period = 1000L * Optional.ofNullable(probe.getPeriodSeconds()).orElse(10);
        int failuresNeeded = Optional.ofNullable(probe.getFailureThreshold()).orElse(3);
        int successesNeeded = Optional.ofNullable(probe.getSuccessThreshold()).orElse(1);
        Thread.ofVirtual().name(kind + " " + name()).start(() -> {
            try {
                Thread.sleep(1000L
                                * Optional.ofNullable(probe.getInitialDelaySeconds())
                                        .orElse(0)
                        + 50);
                int failures = 0;
                int successes = 0;
                boolean reported = false;
                boolean value = initially;
                while (process.alive() && !unhealthy) {
                    Optional<String> problem = asker.ask(probe);
                    if (problem.isEmpty()) {
                        failures = 0;
                        successes++;
                    } else {
                        successes = 0;
                        failures++;
                        if (!reported && (failures >= failuresNeeded || value)) {
                            reported = true; // one event each time it turns bad
                            warn.accept("Unhealthy", kind + " probe failed: " + problem.get());
                        }
                    }
                    if (successes >= successesNeeded && !value || problem.isEmpty() && kind.equals("Startup")) {
                        value = true;
                        reported = false;
                        if (kind.equals("Startup") && successes >= successesNeeded) {
                            started = true;
                            probeWhenStarted(asker, process);
                            wake.run();
                            return;
                        }
                        if (kind.equals("Readiness")) {
                            ready = true;
                            wake.run();
                        }
                    } else if (failures >= failuresNeeded) {
                        if (kind.equals("Readiness")) {
                            if (value) {
                                ready = false;
                                wake.run();
                            }
                            value = false;
                        } else {
                            warn.accept(
                                    "Killing",
                                    "Container " + name() + " failed " + kind.toLowerCase(java.util.Locale.ROOT)
                                            + " probe, will be restarted");
                            unhealthy = true;
                            wake.run();
                            return;
                        }
                    }
                    // Until it is ready for the first time, look often: a second matters more than a request.
                    Thread.sleep(value || kind.equals("Liveness") ? period : Math.min(period, 1000));
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /** Whether a probe asks for its end. */
    boolean unhealthy() {
        return unhealthy;
    }

    /** The memory watch has killed, or is about to kill, it. */
    void markOutOfMemory() {
        outOfMemory = true;
    }

    /** Notices that the program has ended; says whether it had. */
    boolean poll(Instant now) {
        if (!(state instanceof ContainerState.Running running)) {
            return false;
        }
        ContainerProcess process = running.process();
        try {
            process.limitLog();
        } catch (IOException e) {
            warn.accept("LogLimitFailed", "cannot shorten the log of " + name() + ": " + e.getMessage());
        }
        OptionalInt exit = process.exitCode();
        if (exit.isEmpty()) {
            if (process.alive()) {
                return false;
            }
            exit = process.exitCode(); // it may have written it just before it ended
            process.kill(); // the waiting shell was killed: no one would see the program's end
        }
        int code = exit.orElse(137);
        String reason = outOfMemory ? "OOMKilled" : code == 0 ? "Completed" : "Error";
        state = new ContainerState.Ended(code, reason, message(process, code), running.startedAt(), now, number);
        started = false;
        ready = false;
        Duration ran = Duration.between(running.startedAt(), now);
        if (ran.compareTo(LONGEST_BACKOFF) > 0 || number == 0) {
            backoff = Duration.ZERO; // the first start after a good run comes at once
        } else {
            backoff = backoff.isZero() ? Duration.ofSeconds(2) : backoff.multipliedBy(2);
            backoff = backoff.compareTo(LONGEST_BACKOFF) > 0 ? LONGEST_BACKOFF : backoff;
        }
        notBefore = now.plus(backoff);
        save();
        return true;
    }

    private String message(ContainerProcess process, int code) {
        String text = terminationLog.map(ContainerRunner::head).orElse("");
        if (text.isEmpty() && code != 0 && "FallbackToLogsOnError".equals(container.getTerminationMessagePolicy())) {
            text = process.logTail(LOG_MESSAGE_LINES, LOG_MESSAGE_BYTES);
        }
        return text;
    }

    private static String head(Path file) {
        try (var in = Files.newInputStream(file)) {
            return new String(in.readNBytes(MESSAGE_BYTES), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return "";
        }
    }

    /** Ends the program: hook, SIGTERM, patience, SIGKILL. Blocks for at most the grace period and a little. */
    void end(Duration grace, java.util.function.Supplier<Duration> shortened) throws InterruptedException {
        Optional<ContainerProcess> running = process();
        if (running.isEmpty()) {
            return;
        }
        ContainerProcess process = running.get();
        Instant began = Instant.now();
        LifecycleHandler handler = container.getLifecycle() == null
                ? null
                : container.getLifecycle().getPreStop();
        if (handler != null && probes.isPresent()) {
            run(handler, probes.get(), grace)
                    .ifPresent(problem -> warn.accept("FailedPreStopHook", "preStop failed: " + problem));
        }
        process.signalProgram(Proc.Signal.TERM);
        while (process.alive()) {
            Duration patience = grace.compareTo(shortened.get()) < 0 ? grace : shortened.get();
            if (Duration.between(began, Instant.now()).compareTo(patience) >= 0) {
                process.kill();
                if (!process.shim().awaitEnd(5000)) {
                    process.members().forEach(member -> member.signal(Proc.Signal.KILL));
                }
                break;
            }
            Thread.sleep(20);
        }
        poll(Instant.now());
    }

    /** Ends it without patience and without a status: its pod is gone. */
    void kill() {
        process().ifPresent(process -> process.members().forEach(member -> member.signal(Proc.Signal.KILL)));
    }

    /** A container that never began when its pod was ended. */
    void neverBegun(Instant now) {
        if (!begun) {
            state = new ContainerState.Ended(
                    137,
                    "ContainerStatusUnknown",
                    "The container could not be located when the pod was terminated",
                    now,
                    now,
                    0);
        } else if (state instanceof ContainerState.Waiting && last.isPresent()) {
            state = last.get(); // it rested between two starts
        }
    }
}
