package io.vlmoperator.local.node;

import io.vlmoperator.local.Files2;
import io.vlmoperator.local.Proc;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One start of one container. The program runs under a shell of a few lines, in a session of their own, that waits for it and leaves its
 * exit code in a file: so the outcome is known even when the node was not there to see it.
 *
 * @param folder the folder of this start
 * @param shim the waiting shell, whose process id is the id of the session
 */
record ContainerProcess(Path folder, Proc.Identity shim) {
    static final String SHIM_FILE = "shim";
    /** A log file is moved aside at this size and begun anew, so one start holds at most about twice as much. */
    static final long LOG_LIMIT = 32L << 20;

    // The program leads a process group of its own: a signal for the container does not end the shell that waits for
    // it.
    // What it leaves behind when it ends is killed, as the end of process 1 does in a container.
    private static final String SHIM = """
            d=$1; shift
            setsid "$@" </dev/null >>"$d/log" 2>&1 &
            p=$!
            read -r stat <"/proc/$p/stat"
            set -- ${stat##*) }
            shift 19
            echo $p $1 >"$d/pid.part" && mv "$d/pid.part" "$d/pid"
            wait $p
            c=$?
            kill -9 -- -$p 2>/dev/null
            echo $c >"$d/exit.part" && mv "$d/exit.part" "$d/exit"
            """;

    /** Starts a program; its output goes to {@code log} in the folder. */
    static ContainerProcess start(
            Path folder, Path workingFolder, List<String> command, Map<String, String> environment) throws IOException {
        Files2.deleteTree(folder);
        Files2.privateFolder(folder);
        Files.createFile(folder.resolve("log"));
        List<String> line = new ArrayList<>(List.of("setsid", "/bin/sh", "-c", SHIM, "vlm-shim", folder.toString()));
        line.addAll(command);
        ProcessBuilder builder = new ProcessBuilder(line)
                .directory(workingFolder.toFile())
                .redirectInput(new File("/dev/null"))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD); // the shell's remarks are not the program's
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        Proc.Identity shim = Proc.Identity.of(process.pid())
                .orElseThrow(() -> new IOException("the process ended before it was known"));
        Files2.writeAtomically(folder.resolve(SHIM_FILE), shim.pid() + " " + shim.startTicks() + "\n");
        return new ContainerProcess(folder, shim);
    }

    /** The start whose record lies in a folder, whether it still runs or not. */
    static Optional<ContainerProcess> readShim(Path folder) {
        return identity(folder.resolve(SHIM_FILE)).map(shim -> new ContainerProcess(folder, shim));
    }

    private static Optional<Proc.Identity> identity(Path file) {
        return Files2.read(file)
                .map(text -> text.strip().split(" "))
                .filter(fields -> fields.length == 2 && fields[0].matches("[0-9]{1,10}") && fields[1].matches("[0-9]+"))
                .map(fields -> new Proc.Identity(Long.parseLong(fields[0]), Long.parseLong(fields[1])));
    }

    Path log() {
        return folder.resolve("log");
    }

    Path olderLog() {
        return folder.resolve("log.1");
    }

    /** The exit code the shell left, as a shell counts: 128 + signal for a program that a signal ended. */
    OptionalInt exitCode() {
        return Files2.read(folder.resolve("exit"))
                .map(String::strip)
                .filter(text -> text.matches("[0-9]{1,3}"))
                .map(text -> OptionalInt.of(Integer.parseInt(text)))
                .orElse(OptionalInt.empty());
    }

    /** Whether the shell waits still. */
    boolean alive() {
        return shim.alive();
    }

    /** The program itself, while it runs. */
    Optional<Proc.Identity> program() {
        return identity(folder.resolve("pid")).filter(Proc.Identity::alive);
    }

    /** The shell, the program, and everything they started that is still there. */
    List<Proc.Identity> members() {
        List<Proc.Identity> all = new ArrayList<>();
        if (shim.alive()) {
            all.addAll(Proc.session(shim.pid()));
        }
        program().ifPresent(program -> all.addAll(Proc.session(program.pid())));
        return all;
    }

    /** Sends a signal to the program only, as a container runtime does to process 1. */
    boolean signalProgram(Proc.Signal signal) {
        return program().map(process -> process.signal(signal)).orElse(false);
    }

    /** Kills the program and all it started; the shell then writes the exit code. */
    void kill() {
        program()
                .ifPresent(program -> Proc.session(program.pid()).forEach(process -> process.signal(Proc.Signal.KILL)));
    }

    /** Moves a log that has grown too long aside. Lines written in the instant between may be lost. */
    void limitLog() throws IOException {
        if (Files.exists(log()) && Files.size(log()) > LOG_LIMIT) {
            Path part = folder.resolve("log.part");
            Files.copy(log(), part, StandardCopyOption.REPLACE_EXISTING);
            try (FileChannel channel = FileChannel.open(log(), StandardOpenOption.WRITE)) {
                channel.truncate(0); // the program appends, so it goes on at the start
            }
            Files.move(part, olderLog(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** The end of the log: at most so many lines and bytes. */
    String logTail(int lines, int bytes) {
        try (FileChannel channel = FileChannel.open(log(), StandardOpenOption.READ)) {
            long size = channel.size();
            ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(size, bytes));
            long position = size - buffer.capacity();
            while (buffer.hasRemaining()) {
                int count = channel.read(buffer, position + buffer.position());
                if (count < 0) {
                    break;
                }
            }
            String text = new String(buffer.array(), 0, buffer.position(), StandardCharsets.UTF_8);
            List<String> all = text.lines().toList();
            return String.join("\n", all.subList(Math.max(0, all.size() - lines), all.size()));
        } catch (IOException e) {
            return "";
        }
    }
}
