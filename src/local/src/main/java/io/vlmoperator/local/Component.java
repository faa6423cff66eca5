package io.vlmoperator.local;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One long-running program of a run folder: its log, and a record by which a later command finds it again. The record holds process id,
 * start time and executable, so that only a process that was started here is ever ended.
 *
 * @param folder the run folder
 * @param name the name of its files, {@code NAME.log} and {@code NAME.process}
 */
record Component(Path folder, String name) {
    private static final int LOG_TAIL = 20;

    Path log() {
        return folder.resolve(name + ".log");
    }

    private Path recordFile() {
        return folder.resolve(name + ".process");
    }

    /** Starts the program in a session of its own, so that a terminal's signals pass it by. */
    Process launch(List<String> command) {
        List<String> line = new ArrayList<>(List.of("setsid"));
        line.addAll(command);
        try {
            Process process = new ProcessBuilder(line)
                    .directory(folder.toFile())
                    .redirectInput(new File("/dev/null"))
                    .redirectOutput(log().toFile())
                    .redirectErrorStream(true)
                    .start();
            Proc.Identity identity = Proc.Identity.of(process.pid())
                    .orElseThrow(() -> new LocalClusterException(name + " ended at once; see " + log()));
            String executable = Path.of(command.getFirst()).toRealPath().toString();
            Files2.writeAtomically(
                    recordFile(), identity.pid() + " " + identity.startTicks() + " " + executable + "\n");
            return process;
        } catch (IOException e) {
            throw new LocalClusterException(
                    "cannot start " + name + " (" + command.getFirst() + "): " + e.getMessage()
                            + ". setsid comes with util-linux",
                    e);
        }
    }

    /** The process, when the one that was started here still runs. */
    Optional<Proc.Identity> running() {
        return Files2.read(recordFile())
                .map(text -> text.strip().split(" ", 3))
                .filter(fields -> fields.length == 3 && fields[0].matches("[0-9]{1,10}") && fields[1].matches("[0-9]+"))
                .flatMap(fields -> Optional.of(new Proc.Identity(Long.parseLong(fields[0]), Long.parseLong(fields[1])))
                        .filter(Proc.Identity::alive)
                        .filter(identity -> identity.executable()
                                .map(path -> path.toString().equals(fields[2]))
                                .orElse(false)));
    }

    /** Ends it: SIGTERM, up to {@code seconds} of patience, SIGKILL. Says whether it had to be killed. */
    boolean end(int seconds) throws InterruptedException {
        boolean killed = false;
        Optional<Proc.Identity> process = running();
        if (process.isPresent()) {
            process.get().signal(Proc.Signal.TERM);
            if (!process.get().awaitEnd(seconds * 1000L)) {
                killed = process.get().signal(Proc.Signal.KILL);
                process.get().awaitEnd(5000);
            }
        }
        try {
            Files.deleteIfExists(recordFile());
        } catch (IOException e) {
            throw new LocalClusterException("cannot delete " + recordFile() + ": " + e.getMessage(), e);
        }
        return killed;
    }

    /** The last lines of the log, for an error message. */
    String logTail() {
        try (var file = new java.io.RandomAccessFile(log().toFile(), "r")) {
            file.seek(Math.max(0, file.length() - 8192));
            byte[] bytes = new byte[(int) Math.min(8192, file.length())];
            int length = Math.max(0, file.read(bytes));
            List<String> lines = new String(bytes, 0, length, java.nio.charset.StandardCharsets.UTF_8)
                    .lines()
                    .toList();
            return String.join("\n", lines.subList(Math.max(0, lines.size() - LOG_TAIL), lines.size()));
        } catch (IOException e) {
            return "(no log: " + e.getMessage() + ")";
        }
    }
}
