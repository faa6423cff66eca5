package io.vlmoperator.local;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** What Linux says about processes ({@code /proc}), and signals to one process or to a whole process group. */
public final class Proc {
    private static final MethodHandle KILL = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("kill"),
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));

    private Proc() {}

    /** The signals this program sends, with their Linux numbers. */
    public enum Signal {
        KILL(9),
        TERM(15),
        CONT(18),
        STOP(19);

        private final int number;

        Signal(int number) {
            this.number = number;
        }
    }

    /**
     * One process for good: a process id is used again, a pair of id and start time is not.
     *
     * @param pid process id
     * @param startTicks start time in clock ticks since boot, field 22 of {@code /proc/PID/stat}
     */
    public record Identity(long pid, long startTicks) {
        /** The process that has this id now, if any. */
        public static Optional<Identity> of(long pid) {
            return stat(pid).map(fields -> new Identity(pid, Long.parseLong(fields.get(19))));
        }

        /** Whether this very process still runs (a zombie does not). */
        public boolean alive() {
            return stat(pid)
                    .filter(fields ->
                            Long.parseLong(fields.get(19)) == startTicks && "ZX".indexOf(fields.getFirst()) < 0)
                    .isPresent();
        }

        /** Sends a signal to this process, when it still runs; says whether it was sent. */
        public boolean signal(Signal signal) {
            return alive() && kill(Math.toIntExact(pid), signal);
        }

        /** Sends a signal to the process group this process leads, when it still runs; says whether it was sent. */
        public boolean signalGroup(Signal signal) {
            return alive() && kill(-Math.toIntExact(pid), signal);
        }

        /** Waits until the process is gone, at most so long; says whether it is. */
        public boolean awaitEnd(long milliseconds) throws InterruptedException {
            long deadline = System.nanoTime() + milliseconds * 1_000_000L;
            while (alive()) {
                if (System.nanoTime() > deadline) {
                    return false;
                }
                Thread.sleep(20);
            }
            return true;
        }

        /** The program it runs, as the kernel sees it. */
        public Optional<Path> executable() {
            try {
                return Optional.of(Files.readSymbolicLink(Path.of("/proc/" + pid + "/exe")));
            } catch (IOException e) {
                return Optional.empty();
            }
        }

        /** A number of {@code /proc/PID/status} in KiB, such as {@code VmRSS} or {@code VmHWM}. */
        public OptionalLong statusKiB(String key) {
            try {
                for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
                    if (line.startsWith(key + ":")) {
                        return OptionalLong.of(Long.parseLong(line.replaceAll("[^0-9]", "")));
                    }
                }
            } catch (IOException | NumberFormatException e) {
                return OptionalLong.empty(); // it ended meanwhile
            }
            return OptionalLong.empty();
        }
    }

    /** All processes whose session is that of {@code leader}, itself included. */
    public static List<Identity> session(long leader) {
        List<Identity> members = new ArrayList<>();
        try (var entries = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path entry : entries) {
                long pid = Long.parseLong(entry.getFileName().toString());
                stat(pid)
                        .filter(fields -> fields.get(3).equals(Long.toString(leader)))
                        .ifPresent(fields -> members.add(new Identity(pid, Long.parseLong(fields.get(19)))));
            }
        } catch (IOException e) {
            throw new java.io.UncheckedIOException("cannot list /proc", e);
        }
        return members;
    }

    /** The fields of {@code /proc/PID/stat} after the program's name: state, parent, group, session, ... */
    private static Optional<List<String>> stat(long pid) {
        try {
            String line = Files.readString(Path.of("/proc/" + pid + "/stat"));
            // The name stands in parentheses and may hold anything, so the last one counts.
            return Optional.of(List.of(line.substring(line.lastIndexOf(')') + 2).split(" ")));
        } catch (IOException | IndexOutOfBoundsException e) {
            return Optional.empty();
        }
    }

    private static boolean kill(int target, Signal signal) {
        try {
            return (int) KILL.invokeExact(target, signal.number) == 0;
        } catch (Throwable e) {
            throw new IllegalStateException("kill(2) failed", e);
        }
    }
}
