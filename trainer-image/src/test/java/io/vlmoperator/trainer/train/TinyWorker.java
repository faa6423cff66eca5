package io.vlmoperator.trainer.train;

import io.vlmoperator.trainer.TrainerException;
import io.vlmoperator.trainer.dist.Membership;
import io.vlmoperator.trainer.dist.PeerSecret;
import io.vlmoperator.trainer.dist.TcpRing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import sun.misc.Signal;

/** The workers of one attempt at a {@link TinyRun}, each a process of its own that can be killed, frozen and terminated. */
final class TinyWorker implements AutoCloseable {
    static final int WORLD = 2;
    static final int EVERY = 3;
    static final int STEPS = 90;

    private static final long LIMIT_SECONDS = 300;
    private static final int PAUSE_MILLIS = 5;

    private final Path root;
    private final int attempt;
    private final List<Process> ranks = new ArrayList<>();

    private TinyWorker(Path root, int attempt) {
        this.root = root;
        this.attempt = attempt;
    }

    /**
     * @param operationSeconds how long a rank waits for another
     * @param graceMillis from SIGTERM to the kill
     */
    static TinyWorker start(Path root, int attempt, int operationSeconds, int graceMillis) throws IOException {
        tiny(root); // the tokenizer's file is made by one process only
        TinyWorker workers = new TinyWorker(root, attempt);
        int port = Ranks.freePorts(WORLD);
        for (int rank = 0; rank < WORLD; rank++) {
            ProcessBuilder builder = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin/java").toString(),
                            "-XX:+UseSerialGC",
                            "-XX:TieredStopAtLevel=1",
                            "-Xmx256m",
                            "--enable-native-access=ALL-UNNAMED",
                            "-cp",
                            System.getProperty("java.class.path"),
                            TinyWorker.class.getName(),
                            root.toString(),
                            Integer.toString(attempt),
                            Integer.toString(rank),
                            Integer.toString(port),
                            Integer.toString(operationSeconds),
                            Integer.toString(graceMillis))
                    .redirectErrorStream(true)
                    .redirectOutput(workers.log(rank).toFile());
            builder.environment().put("OMP_NUM_THREADS", "1");
            workers.ranks.add(builder.start());
        }
        return workers;
    }

    static TinyRun tiny(Path root) throws IOException {
        TinyRun run = new TinyRun(Files.createDirectories(root));
        run.steps = STEPS;
        run.everySteps = EVERY;
        run.microSize = 4;
        return run;
    }

    private Path log(int rank) {
        return root.resolve("attempt-" + attempt + "-rank-" + rank + ".txt");
    }

    String logs() throws IOException {
        StringBuilder all = new StringBuilder();
        for (int rank = 0; rank < ranks.size(); rank++) {
            List<String> lines = Files.readAllLines(log(rank));
            lines.subList(Math.max(0, lines.size() - 12), lines.size())
                    .forEach(line -> all.append("  ").append(line).append('\n'));
        }
        return all.toString();
    }

    /** Completed steps of the run, by its record. */
    static int steps(Path root) throws IOException {
        Path metrics = root.resolve("run/metrics.jsonl");
        return Files.exists(metrics) ? Files.readAllLines(metrics).size() : 0;
    }

    /** Waits until the run has a step or the workers have ended. */
    void awaitStep(int step) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (steps(root) < step && ranks.stream().allMatch(Process::isAlive)) {
            if (System.nanoTime() > until) {
                throw new IllegalStateException("step " + step + " was not reached\n" + logs());
            }
            Thread.sleep(5);
        }
    }

    /** Sends a signal by the name that kill(1) knows. */
    void signal(int rank, String name) throws Exception {
        new ProcessBuilder("kill", "-" + name, Long.toString(ranks.get(rank).pid()))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    void kill(int rank) {
        ranks.get(rank).destroyForcibly();
    }

    int awaitEnd(int rank) throws Exception {
        if (!ranks.get(rank).waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
            throw new IllegalStateException("rank " + rank + " does not end\n" + logs());
        }
        return ranks.get(rank).exitValue();
    }

    List<Integer> awaitEnd() throws Exception {
        List<Integer> codes = new ArrayList<>();
        for (int rank = 0; rank < WORLD; rank++) {
            codes.add(awaitEnd(rank));
        }
        return codes;
    }

    @Override
    public void close() throws InterruptedException {
        for (Process process : ranks) {
            process.destroyForcibly().waitFor();
        }
    }

    /** One rank. */
    public static void main(String[] arguments) throws IOException {
        Path root = Path.of(arguments[0]);
        TinyRun run = tiny(root);
        run.attempt = Integer.parseInt(arguments[1]);
        run.stepMillis = PAUSE_MILLIS;
        int rank = Integer.parseInt(arguments[2]);
        Duration grace = Duration.ofMillis(Long.parseLong(arguments[5]));
        Signal.handle(new Signal("TERM"), signal -> run.stop.request("SIGTERM", grace));
        int code = 0;
        try (TcpRing ring = TcpRing.connect(
                new Membership(
                        "uid-1",
                        run.attempt,
                        rank,
                        WORLD,
                        PeerSecret.parse("%064x".formatted(run.attempt), "secret"),
                        "127.0.0.1",
                        Integer.parseInt(arguments[3]),
                        Duration.ofSeconds(LIMIT_SECONDS),
                        Duration.ofSeconds(Long.parseLong(arguments[4]))),
                Optional.of("127.0.0.1"),
                Optional.empty(),
                run.facts.whereabouts())) {
            run.train(run.job(WORLD), ring);
        } catch (TrainerException e) {
            System.out.println(e.code() + ": " + e.getMessage());
            code = e.code().code();
        } catch (RuntimeException | Error e) {
            e.printStackTrace(System.out);
            code = 70;
        }
        System.out.flush();
        Runtime.getRuntime().halt(code);
    }
}
