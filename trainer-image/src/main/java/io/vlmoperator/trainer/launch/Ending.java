package io.vlmoperator.trainer.launch;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.api.run.TerminationMessage;
import io.vlmoperator.trainer.Json;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.regex.Pattern;

/** How a command ends: the exit code of an error, and the last words in the termination log. */
final class Ending {
    private static final int MAX_MESSAGE = 1000;

    private Ending() {}

    /** The exit code of the contract for anything that was thrown. */
    static ExitCode code(Throwable thrown) {
        for (Throwable t = thrown; t != null; t = t.getCause()) {
            if (t instanceof TrainerException e) {
                return e.code();
            }
            if (OutOfMemory.is(t)) {
                return ExitCode.DoesNotFit;
            }
            if (t instanceof FileSystemException || noSpace(t)) {
                return ExitCode.StorageFailed;
            }
        }
        return ExitCode.InternalError;
    }

    private static boolean noSpace(Throwable t) {
        return t instanceof IOException && String.valueOf(t.getMessage()).contains("No space left");
    }

    /** One line for a person. */
    static String message(Throwable thrown) {
        ExitCode code = code(thrown);
        String text = switch (code) {
            case InternalError ->
                "unexpected " + thrown.getClass().getSimpleName() + ": " + thrown.getMessage() + " at " + place(thrown);
            case DoesNotFit -> OutOfMemory.advice(thrown).orElseGet(thrown::getMessage);
            default -> thrown.getMessage();
        };
        boolean bare = thrown instanceof IOException && code != ExitCode.InternalError;
        String line = String.valueOf(bare ? TrainerException.reason((IOException) thrown) : text)
                .replaceAll("\\s*\\R\\s*", " ");
        return line.length() > MAX_MESSAGE ? line.substring(0, MAX_MESSAGE - 3) + "..." : line;
    }

    /** One line for a person whose run is complete, with what it should know. */
    static String completed(List<String> warnings) {
        String line = warnings.isEmpty() ? "completed" : "completed; " + String.join("; ", warnings);
        return line.length() > MAX_MESSAGE ? line.substring(0, MAX_MESSAGE - 3) + "..." : line;
    }

    private static String place(Throwable thrown) {
        for (StackTraceElement element : thrown.getStackTrace()) {
            if (element.getClassName().startsWith("io.vlmoperator.")) {
                return element.getFileName() + ":" + element.getLineNumber();
            }
        }
        return thrown.getStackTrace().length == 0 ? "an unknown place" : thrown.getStackTrace()[0].toString();
    }

    /** The same with the files below {@code mountRoot} as the spec names them: {@code pvc://CLAIM/path} says more than a pod's folder. */
    static TerminationMessage inLocations(TerminationMessage m, Path mountRoot) {
        if (m.message() == null) {
            return m;
        }
        String line = inLocations(m.message(), mountRoot);
        return line.equals(m.message()) ? m : with(m, line, m.results());
    }

    /** A text with the files below {@code mountRoot} as the spec names them. */
    static String inLocations(String text, Path mountRoot) {
        // Only where a path begins: the root may be the end of another folder's name.
        return text.replaceAll("(?<![\\w./-])" + Pattern.quote(mountRoot + "/"), "pvc://");
    }

    /** The message as JSON of at most {@link TerminationMessage#MAX_BYTES} bytes: details go first, scores from the end. */
    static byte[] bounded(TerminationMessage m) {
        TerminationMessage shorter = m;
        byte[] json = Json.bytes(shorter);
        while (json.length > TerminationMessage.MAX_BYTES) {
            boolean categories = shorter.results().stream()
                    .anyMatch(r -> r.categories() != null && !r.categories().isEmpty());
            if (categories) {
                shorter = with(shorter, shorter.message(), Results.withoutCategories(shorter.results()));
            } else if (!shorter.results().isEmpty()) {
                shorter = with(
                        shorter,
                        shorter.message(),
                        shorter.results().subList(0, shorter.results().size() - 1));
            } else if (shorter.message() != null && shorter.message().length() > 10) {
                shorter = with(
                        shorter,
                        shorter.message().substring(0, shorter.message().length() / 2),
                        List.of());
            } else {
                shorter = new TerminationMessage(
                        m.reason(),
                        shorter.message(),
                        m.step(),
                        m.resumedFrom(),
                        null,
                        null,
                        m.rank(),
                        null,
                        null,
                        null);
            }
            json = Json.bytes(shorter);
        }
        return json;
    }

    private static TerminationMessage with(
            TerminationMessage m, String message, List<io.vlmoperator.api.status.BenchmarkResult> results) {
        return new TerminationMessage(
                m.reason(),
                message,
                m.step(),
                m.resumedFrom(),
                m.checkpoint(),
                m.best(),
                m.rank(),
                m.dataset(),
                results,
                m.export());
    }

    /**
     * Writes the last words. In a pod the log is a mounted file that can't be renamed over; then it is written in place, in one call.
     */
    static void write(Path log, TerminationMessage message) throws IOException {
        byte[] json = bounded(message);
        Path temporary = log.resolveSibling("." + log.getFileName() + ".tmp");
        try {
            Files.write(temporary, json);
            Files.move(temporary, log, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            Files.deleteIfExists(temporary);
            Files.write(
                    log,
                    json,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE);
        }
    }

    /** Reads the last words of a child process. */
    static TerminationMessage read(Path log) throws IOException {
        return Json.read(log, TerminationMessage.MAX_BYTES, TerminationMessage.class);
    }
}
