package io.vlmoperator.trainer.op;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * When each operator ran and for how long, while this is open. On the CPU an operator has finished when its call returns, so the times are
 * those of the work; what lies between them is Java's. Calls beyond {@value #MOST} are counted, not kept.
 */
public final class Profile implements AutoCloseable {
    private static final int MOST = 500_000;
    private static final double NANOS_PER_MILLI = 1e6;

    private record Call(String name, long thread, long start, long nanos) {}

    private final List<Call> calls = new ArrayList<>();
    private final List<Call> steps = new ArrayList<>();
    private final Script script;
    private long lost;

    private Profile(Script script) {
        this.script = script;
    }

    /** Begins to watch all operators of this process; one profile at a time. */
    public static Profile start() {
        Script script = Torch.start().script();
        Profile profile = new Profile(script);
        script.watch(profile);
        return profile;
    }

    /** Called after every operator, on the thread that ran it. */
    synchronized void add(String operator, long start, long nanos) {
        if (calls.size() < MOST) {
            calls.add(new Call(operator, Thread.currentThread().threadId(), start, nanos));
        } else {
            lost++;
        }
    }

    /** Notes a stretch that contains operators, such as a step. */
    public synchronized void step(String name, long start, long nanos) {
        steps.add(new Call(name, Thread.currentThread().threadId(), start, nanos));
    }

    /** Names of the operators that ran. */
    public synchronized Set<String> operators() {
        return calls.stream().map(Call::name).collect(Collectors.toCollection(TreeSet::new));
    }

    /** Time by operator, most first, as lines for people. */
    public synchronized String table() {
        double whole = Math.max(1, steps.stream().mapToLong(Call::nanos).sum());
        Map<String, List<Call>> byName = calls.stream().collect(Collectors.groupingBy(Call::name));
        StringBuilder text = new StringBuilder(String.format(
                Locale.ROOT, "%-32s %9s %12s %12s %8s%n", "operator", "calls", "ms", "ms a call", "share"));
        byName.entrySet().stream()
                .map(e -> new Call(
                        e.getKey(),
                        e.getValue().size(),
                        0,
                        e.getValue().stream().mapToLong(Call::nanos).sum()))
                .sorted(Comparator.comparingLong(Call::nanos).reversed())
                .forEach(sum -> text.append(line(sum.name(), sum.thread(), sum.nanos(), whole)));
        double operators = calls.stream().mapToLong(Call::nanos).sum();
        text.append(line("outside of operators", steps.size(), Math.max(0, whole - operators), whole));
        text.append(line("all steps", steps.size(), whole, whole));
        if (lost > 0) {
            text.append(lost)
                    .append(" calls more were not kept; profile fewer steps")
                    .append(System.lineSeparator());
        }
        return text.toString();
    }

    private static String line(String name, long count, double nanos, double whole) {
        return String.format(
                Locale.ROOT,
                "%-32s %9d %12.2f %12.4f %7.1f%%%n",
                name,
                count,
                nanos / NANOS_PER_MILLI,
                nanos / NANOS_PER_MILLI / Math.max(1, count),
                100 * nanos / whole);
    }

    /** Writes all calls in Chrome's trace format (chrome://tracing, Perfetto). */
    public synchronized void writeTrace(Path file, int rank) throws IOException {
        try (BufferedWriter out = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
            out.write("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
            String separator = "\n";
            for (List<Call> list : List.of(steps, calls)) {
                for (Call call : list) {
                    out.write(separator);
                    // Operators' names are identifiers; nothing needs escaping.
                    out.write(String.format(
                            Locale.ROOT,
                            "{\"name\":\"%s\",\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f}",
                            call.name(),
                            rank,
                            call.thread(),
                            call.start() / 1e3,
                            call.nanos() / 1e3));
                    separator = ",\n";
                }
            }
            out.write("\n]}\n");
        }
    }

    /** Stops watching. */
    @Override
    public void close() {
        script.unwatch(this);
    }
}
