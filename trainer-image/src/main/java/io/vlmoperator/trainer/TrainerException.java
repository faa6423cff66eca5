package io.vlmoperator.trainer;

import io.vlmoperator.api.run.ExitCode;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/**
 * Ends the program with an exit code of the contract. The message is one line for a person: what is wrong, where, and what to do. Every
 * package throws this for what a user can cause; anything else that escapes is an {@link ExitCode#InternalError}.
 */
public final class TrainerException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final ExitCode code;

    public TrainerException(ExitCode code, String message) {
        super(message);
        this.code = code;
    }

    public TrainerException(ExitCode code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    /** The spec, or what it names, can't work; never retried. */
    public static TrainerException configuration(String message) {
        return new TrainerException(ExitCode.InvalidConfiguration, message);
    }

    /** The data is broken beyond what may be skipped. */
    public static TrainerException data(String message) {
        return new TrainerException(ExitCode.InvalidData, message);
    }

    /** A file system call failed; a retry may help. */
    public static TrainerException storage(String message, Throwable cause) {
        return new TrainerException(ExitCode.StorageFailed, message, cause);
    }

    /** What an error of a file system says, for a person: several kinds have a message that is the file's name and nothing else. */
    public static String reason(IOException e) {
        String message = String.valueOf(e.getMessage());
        return switch (e) {
            case NoSuchFileException missing -> message + " does not exist";
            case FileAlreadyExistsException taken -> message + " exists already, and not as what is wanted there";
            case AccessDeniedException denied -> message + " may not be read or written by this user";
            case NotDirectoryException file -> message + " is no folder";
            case DirectoryNotEmptyException folder -> message + " is a folder that is not empty";
            default -> message;
        };
    }

    public ExitCode code() {
        return code;
    }
}
