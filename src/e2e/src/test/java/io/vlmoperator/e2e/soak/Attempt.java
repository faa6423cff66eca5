package io.vlmoperator.e2e.soak;

import io.vlmoperator.api.run.PodEnvironment;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The two worker processes of one attempt, as two pods would run them, joined over TCP. */
final class Attempt implements AutoCloseable {
    static final int WORLD = 2;
    /** Seconds that no step takes, on the slowest machine. */
    static final int PATIENT = 600;

    private static final Pattern STEP = Pattern.compile("^step (\\d+)/");
    private static final long LIMIT_SECONDS = 1200;
    private static final int FIRST_PORT = 23_000;
    private static final int LAST_PORT = 29_000;

    private final int number;
    private final List<Process> ranks = new ArrayList<>();
    private final List<Path> logs = new ArrayList<>();
    private final Thread atExit = new Thread(() -> ranks().forEach(Process::destroyForcibly));

    private Attempt(int number) {
        this.number = number;
    }

    /**
     * @param trainingSeed of the job
     * @param number of the attempt
     * @param stepDeadline seconds
     * @param steps of the run
     */
    record Order(long trainingSeed, int number, int stepDeadline, int steps) {}

    /** @param home gets the mounts, job files and logs; {@code home/runs} is the claim of the run */
    static Attempt start(Lab lab, Path home, Order order) throws IOException {
        int number = order.number();
        Path mounts = Files.createDirectories(home.resolve("mnt"));
        link(mounts.resolve("emoji"), lab.emoji());
        link(mounts.resolve("runs"), Files.createDirectories(home.resolve("runs")));
        Path own = Files.createDirectories(home.resolve("attempt-" + number));
        Path job = own.resolve("job.json");
        Files.write(job, lab.job(order.trainingSeed(), number, order.stepDeadline(), order.steps()));
        int port = freePorts(number);
        Attempt attempt = new Attempt(number);
        // Also when somebody ends the program: frozen workers would stay for ever.
        Runtime.getRuntime().addShutdownHook(attempt.atExit);
        for (int rank = 0; rank < WORLD; rank++) {
            Path log = own.resolve("rank-" + rank + ".log");
            ProcessBuilder builder = new ProcessBuilder(lab.trainer().toString(), "worker")
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile());
            builder.environment()
                    .putAll(Map.of(
                            PodEnvironment.JOB_FILE,
                            job.toString(),
                            PodEnvironment.MOUNT_ROOT,
                            mounts.toString(),
                            PodEnvironment.TERMINATION_LOG,
                            own.resolve("words-" + rank + ".json").toString(),
                            PodEnvironment.RENDEZVOUS,
                            "127.0.0.1:" + port,
                            PodEnvironment.COMPLETION_INDEX,
                            Integer.toString(rank),
                            PodEnvironment.CPUS,
                            "1",
                            PodEnvironment.GRACE_SECONDS,
                            "30",
                            "VLM_POD_ADDRESS",
                            "127.0.0.1",
                            "VLM_HEAP",
                            "256m",
                            "OMP_NUM_THREADS",
                            "1"));
            builder.environment().put(PodEnvironment.PEER_SECRET, "%064x".formatted(number));
            attempt.add(builder.start());
            attempt.logs.add(log);
        }
        return attempt;
    }

    private static void link(Path link, Path target) throws IOException {
        if (!Files.exists(link, java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
            Files.createSymbolicLink(link, target.toAbsolutePath());
        }
    }

    /** Two in a row that nobody listens on now; attempts beside each other look at different places. */
    private static int freePorts(int number) {
        int start = FIRST_PORT + (int) (ProcessHandle.current().pid() % 100) * 40 + number % 10 * 4;
        for (int port = start; port < LAST_PORT; port += 4) {
            if (free(port) && free(port + 1)) {
                return port;
            }
        }
        throw new IllegalStateException("no free ports from " + start + " to " + LAST_PORT);
    }

    private static boolean free(int port) {
        try (ServerSocket socket = new ServerSocket()) {
            socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private void add(Process rank) {
        synchronized (ranks) {
            ranks.add(rank);
        }
    }

    private List<Process> ranks() {
        synchronized (ranks) {
            return List.copyOf(ranks);
        }
    }

    int number() {
        return number;
    }

    /** The newest step in rank 0's log; 0 before the first. */
    long step() throws IOException {
        List<String> lines = Lab.lines(logs.getFirst());
        for (String line : lines.reversed()) {
            Matcher step = STEP.matcher(line);
            if (step.find()) {
                return Long.parseLong(step.group(1));
            }
        }
        return 0;
    }

    /** Waits for a step; whether it came before the workers ended. */
    boolean awaitStep(long step) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (step() < step) {
            if (ranks.stream().noneMatch(Process::isAlive)) {
                return step() >= step;
            }
            Run.require(System.nanoTime() < until, "attempt " + number + " did not reach step " + step + "\n" + log());
            Thread.sleep(5);
        }
        return true;
    }

    /** Sends a signal, by the name that kill(1) knows. */
    void signal(int rank, String name) throws Exception {
        if (!ranks.get(rank).isAlive()) {
            return;
        }
        Process kill = new ProcessBuilder(
                        "kill", "-" + name, Long.toString(ranks.get(rank).pid()))
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        kill.waitFor();
    }

    /** The exit codes, when both have ended; 128 + number for a signal. */
    int[] awaitEnd() throws Exception {
        int[] codes = new int[WORLD];
        for (int rank = 0; rank < WORLD; rank++) {
            codes[rank] = awaitEnd(rank);
        }
        return codes;
    }

    int awaitEnd(int rank) throws Exception {
        Run.require(
                ranks.get(rank).waitFor(LIMIT_SECONDS, TimeUnit.SECONDS),
                "rank " + rank + " of attempt " + number + " did not end within " + LIMIT_SECONDS + " s\n" + log());
        return ranks.get(rank).exitValue();
    }

    void mustComplete() throws Exception {
        int[] codes = awaitEnd();
        Run.require(
                Arrays.stream(codes).allMatch(code -> code == 0),
                "attempt " + number + " ended with " + Arrays.toString(codes) + " instead of 0\n" + log());
    }

    /** All lines of both. */
    String log() throws IOException {
        StringBuilder text = new StringBuilder();
        for (Path log : logs) {
            List<String> lines = Lab.lines(log);
            text.append(log).append(":\n");
            lines.subList(Math.max(0, lines.size() - 40), lines.size())
                    .forEach(line -> text.append("    ").append(line).append('\n'));
        }
        return text.toString();
    }

    /** Whether a line of rank 0 holds all these words. */
    boolean said(String... words) throws IOException {
        return Lab.lines(logs.getFirst()).stream()
                .anyMatch(line -> Arrays.stream(words).allMatch(line::contains));
    }

    /** Ends what still runs, frozen or not. */
    @Override
    public void close() throws InterruptedException {
        for (Process process : ranks()) {
            process.destroyForcibly().waitFor();
        }
        try {
            Runtime.getRuntime().removeShutdownHook(atExit);
        } catch (IllegalStateException e) {
            return; // the program is ending, and the hook does the same
        }
    }
}
