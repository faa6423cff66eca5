package io.vlmoperator.trainer;

import io.vlmoperator.api.run.ExitCode;

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

    public ExitCode code() {
        return code;
    }
}
