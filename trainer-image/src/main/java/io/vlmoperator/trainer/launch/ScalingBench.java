package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.Single;
import io.vlmoperator.trainer.dist.TcpRing;
import io.vlmoperator.trainer.op.Torch;
import io.vlmoperator.trainer.plan.StepTime;
import io.vlmoperator.trainer.train.TimedSteps;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * {@code vlm-trainer bench-scaling}: the same rows per worker with 1, 2 and, where there are as many cores, 4 workers, each a process with one
 * thread for arithmetic on a core of its own; and the ring beside a plain copy over sockets.
 */
final class ScalingBench {
    private static final int WARM_UP = 2;
    private static final int MOST = 10_000;
    private static final Duration LIMIT = Duration.ofMinutes(10);
    private static final int[] WORLDS = {1, 2, 4};

    private ScalingBench() {}

    static int run(List<String> words, Map<String, String> environment, PrintStream out) {
        Arguments arguments = Arguments.parse(words, List.of("--steps", "--rounds", "--json", "--worker"), List.of());
        arguments.requireNone();
        int steps = arguments.number("--steps", MOST).orElse(20);
        if (arguments.one("--worker").isPresent()) {
            out.println(Json.text(worker(arguments.one("--worker").get(), environment, steps)));
            return ExitCode.Completed.code();
        }
        List<BenchRow> rows =
                new ArrayList<>(RingBench.run(arguments.number("--rounds", MOST).orElse(21)));
        double ring = rows.getFirst().value() * 1e6;
        out.println(TimedSteps.description());
        int cores = Runtime.getRuntime().availableProcessors();
        boolean pinned = Files.isExecutable(Path.of("/usr/bin/taskset"));
        if (!pinned) {
            out.println("there is no taskset: workers are not pinned to cores");
        }
        double single = 0;
        double singleCpu = 0;
        for (int world : WORLDS) {
            if (world > cores) {
                out.println(world + " workers: left out, there are " + cores + " cores");
                continue;
            }
            List<TimedSteps.Timing> workers = workers(world, steps, pinned);
            TimedSteps.Timing slowest = workers.stream()
                    .max(Comparator.comparing(TimedSteps.Timing::seconds))
                    .orElseThrow();
            double rate = slowest.tokens() / slowest.seconds();
            double cpu = slowest.tokens()
                    / workers.stream()
                            .mapToDouble(TimedSteps.Timing::cpuSeconds)
                            .sum();
            if (world == 1) {
                single = rate;
                singleCpu = cpu;
                rows.add(BenchRow.plain("1 worker", rate, "tokens/s"));
                continue;
            }
            String name = world + " workers";
            rows.add(BenchRow.beside(name, rate, "tokens/s", single));
            rows.add(BenchRow.plain(name + ": efficiency", rate / (world * single), "ratio"));
            // Other work on the machine takes time, but no processor time of these.
            rows.add(BenchRow.plain(name + ": tokens per processor second, against one's", cpu / singleCpu, "ratio"));
            rows.add(BenchRow.plain(
                    name + ": share of the time in which something is sent",
                    slowest.busySeconds() / slowest.seconds(),
                    "ratio"));
            rows.add(BenchRow.plain(
                    name + ": share of the time waited for others (not overlapped)",
                    slowest.waitedSeconds() / slowest.seconds(),
                    "ratio"));
            double alone = slowest.tokens() / world / single / slowest.steps();
            StepTime predicted = StepTime.sharedCore(alone, slowest.weights() * 4.0, world, ring);
            rows.add(BenchRow.beside(
                    name + ": seconds a step by the plan's model",
                    predicted.atMost(),
                    "s",
                    slowest.seconds() / slowest.steps()));
        }
        rows.add(BenchRow.plain("load of the machine (1 minute) over its cores", load() / cores, "ratio"));
        BenchRow.publish(rows, Path.of(arguments.one("--json").orElse("target/bench/scaling.json")), out);
        return ExitCode.Completed.code();
    }

    private static double load() {
        return java.lang.management.ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    /** @param place rank/world/port */
    private static TimedSteps.Timing worker(String place, Map<String, String> environment, int steps) {
        String[] numbers = place.split("/");
        int rank = Integer.parseInt(numbers[0]);
        int world = Integer.parseInt(numbers[1]);
        Torch.start().threads(1);
        if (world == 1) {
            return TimedSteps.run(new Single(), WARM_UP, steps);
        }
        PeerSecret secret =
                PeerSecret.parse(environment.getOrDefault(PodEnvironment.PEER_SECRET, ""), PodEnvironment.PEER_SECRET);
        Membership member = new Membership(
                "bench", 1, rank, world, secret, "127.0.0.1", Integer.parseInt(numbers[2]), LIMIT, LIMIT);
        try (Communicator ring = TcpRing.connect(member, Optional.of("127.0.0.1"), Optional.empty())) {
            return TimedSteps.run(ring, WARM_UP, steps);
        }
    }

    private static List<TimedSteps.Timing> workers(int world, int steps, boolean pinned) {
        String secret = PeerSecret.random().text();
        int port = Children.freePorts(world);
        List<Process> processes = new ArrayList<>();
        try {
            for (int rank = 0; rank < world; rank++) {
                List<String> command = new ArrayList<>();
                if (pinned) {
                    command.addAll(List.of("taskset", "-c", Integer.toString(rank)));
                }
                command.addAll(ChildProcesses.command(
                        "bench-scaling",
                        "--worker",
                        rank + "/" + world + "/" + port,
                        "--steps",
                        Integer.toString(steps)));
                ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
                builder.environment().put(PodEnvironment.PEER_SECRET, secret);
                builder.environment().put("OMP_NUM_THREADS", "1");
                processes.add(builder.start());
            }
            List<TimedSteps.Timing> timings = new ArrayList<>();
            for (Process process : processes) {
                String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS) || process.exitValue() != 0) {
                    throw new TrainerException(
                            ExitCode.InternalError, "a worker of " + world + " ended without a figure: " + said);
                }
                timings.add(Json.read(said.strip().getBytes(StandardCharsets.UTF_8), TimedSteps.Timing.class));
            }
            return timings;
        } catch (IOException e) {
            throw TrainerException.storage("can't run another process: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TrainerException(ExitCode.Terminated, "interrupted while workers were measured", e);
        } finally {
            processes.forEach(Process::destroyForcibly);
        }
    }
}
