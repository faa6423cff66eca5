package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Buffer;
import io.vlmoperator.trainer.dist.Communicator;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.op.DType;
import io.vlmoperator.trainer.op.Scope;
import io.vlmoperator.trainer.op.Tensor;
import io.vlmoperator.trainer.op.Torch;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Bandwidth of the trainer's own collectives, and {@link CollectiveChecks}, between processes of this machine: over NCCL with a GPU each, or two on one GPU, else over the TCP ring.
 * Bandwidth is nccl-tests' "bus bandwidth": the size over the time, times 2 (n - 1) / n for an all-reduce and (n - 1) / n for a reduce-scatter or
 * an all-gather of n ranks, where the size is that of the whole buffer. It is what each link carries, and does not depend on n.
 */
final class CollectiveBench {
    private static final Duration LIMIT = Duration.ofMinutes(5);
    private static final int WARM_UP = 5;

    /** Lists of these are what a rank leaves behind. */
    record Result(String operation, long bytes, double seconds, double busBytesPerSecond) {}

    /** @param checks that held */
    record Results(List<Result> all, List<String> checks) {}

    private CollectiveBench() {}

    /** nccl-tests' factor for {@code ranks}. */
    static double busFactor(String operation, int ranks) {
        double share = (ranks - 1.0) / ranks;
        return operation.equals("all-reduce") ? 2 * share : share;
    }

    /**
     * Starts the ranks and returns what rank 0 measured.
     *
     * @param gpus how many this machine has; ranks beyond share the last one. 0: on the processor
     * @param sizes of the whole buffer in bytes
     */
    static Results run(int ranks, int gpus, List<Long> sizes, int rounds, PrintStream out) throws IOException {
        Path folder = Files.createTempDirectory("vlm-trainer-bench-");
        Path results = folder.resolve("results.json");
        int port = Children.freePorts(ranks);
        String secret = PeerSecret.random().text();
        List<Process> processes = new ArrayList<>();
        try {
            for (int rank = 0; rank < ranks; rank++) {
                List<String> words = new ArrayList<>(List.of(
                        "bench-gpu",
                        "--rank",
                        Integer.toString(rank),
                        "--ranks",
                        Integer.toString(ranks),
                        "--port",
                        Integer.toString(port),
                        "--rounds",
                        Integer.toString(rounds),
                        "--sizes",
                        String.join(",", sizes.stream().map(String::valueOf).toList()),
                        "--json",
                        results.toString()));
                ProcessBuilder builder = new ProcessBuilder(ChildProcesses.command(words.toArray(String[]::new)));
                Map<String, String> environment = builder.environment();
                environment.put(PodEnvironment.PEER_SECRET, secret);
                if (gpus == 0) {
                    environment.put("VLM_DEVICE", "cpu");
                } else {
                    int own = Math.min(rank, gpus - 1);
                    environment.put(LocalRanks.VISIBLE, LocalRanks.visible(System.getenv(LocalRanks.VISIBLE), own));
                    if (ranks > gpus) {
                        // NCCL takes two ranks on one GPU for a mistake, unless they seem to be on two machines.
                        environment.put("NCCL_HOSTID", "rank-" + rank);
                    }
                }
                Path log = folder.resolve("rank-" + rank + ".log");
                processes.add(builder.redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start());
            }
            for (int rank = 0; rank < ranks; rank++) {
                Process process = processes.get(rank);
                if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS) || process.exitValue() != 0) {
                    String log = Files.readString(folder.resolve("rank-" + rank + ".log"));
                    out.print(log.substring(Math.max(0, log.length() - 4000)));
                    throw new TrainerException(
                            ExitCode.InternalError,
                            "rank " + rank + " of the bandwidth benchmark did not end well; its last lines are above");
                }
            }
            return Json.read(results, 1 << 20, Results.class);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } finally {
            processes.forEach(Process::destroyForcibly);
            Children.delete(folder);
        }
    }

    /** One rank; rank 0 writes {@code --json}. */
    static int rank(Arguments arguments, Map<String, String> environment, PrintStream out) throws IOException {
        int rank = Integer.parseInt(arguments.one("--rank").orElseThrow());
        int ranks = arguments.number("--ranks", 64).orElseThrow();
        CollectiveChecks checks = new CollectiveChecks(
                rank,
                ranks,
                arguments.number("--port", 65_535).orElseThrow(),
                PeerSecret.parse(environment.getOrDefault(PodEnvironment.PEER_SECRET, ""), PodEnvironment.PEER_SECRET),
                out::println);
        int rounds = arguments.number("--rounds", 10_000).orElse(20);
        List<Result> results = new ArrayList<>();
        try (Communicator ranksOfAll = checks.join(1, LIMIT);
                Scope scope = Scope.open()) {
            for (String size : arguments.one("--sizes").orElseThrow().split(",", -1)) {
                long count = Long.parseLong(size) / Float.BYTES;
                try (Scope local = scope.child()) {
                    Tensor tensor = local.zeros(DType.FLOAT32, count);
                    Buffer buffer = Buffer.floats(tensor.address());
                    results.add(measure(ranksOfAll, "all-reduce", buffer, rounds));
                    results.add(measure(ranksOfAll, "reduce-scatter", buffer, rounds));
                    results.add(measure(ranksOfAll, "all-gather", buffer, rounds));
                }
            }
            ranksOfAll.barrier();
        }
        List<String> held = new ArrayList<>(checks.all(2));
        held.add(checks.dead(10));
        if (rank == 0) {
            Files.write(Path.of(arguments.one("--json").orElseThrow()), Json.bytes(new Results(results, held)));
        }
        return ExitCode.Completed.code();
    }

    private static Result measure(Communicator ranks, String operation, Buffer buffer, int rounds) {
        for (int i = 0; i < WARM_UP; i++) {
            start(ranks, operation, buffer).await();
        }
        Torch.start().synchronize();
        ranks.barrier();
        long begin = System.nanoTime();
        Communicator.Pending last = Communicator.Pending.DONE;
        for (int i = 0; i < rounds; i++) {
            last = start(ranks, operation, buffer);
        }
        last.await();
        Torch.start().synchronize();
        double seconds = (System.nanoTime() - begin) / 1e9 / rounds;
        long bytes = buffer.memory().byteSize();
        return new Result(operation, bytes, seconds, bytes / seconds * busFactor(operation, ranks.world()));
    }

    private static Communicator.Pending start(Communicator ranks, String operation, Buffer buffer) {
        return switch (operation) {
            case "all-reduce" -> ranks.allReduceSum(buffer);
            case "reduce-scatter" -> ranks.reduceScatterSum(buffer);
            default -> ranks.allGather(buffer);
        };
    }
}
