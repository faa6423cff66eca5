package io.vlmoperator.trainer.fetch;

import io.vlmoperator.api.run.ExitCode;
import java.io.IOException;
import java.time.Duration;

/** Why a file could not be brought. */
final class FetchException extends IOException {
    private static final long serialVersionUID = 1L;
    private final ExitCode code;
    private final boolean again;
    private final Duration pause;

    private FetchException(String message, ExitCode code, boolean again, Duration pause, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.again = again;
        this.pause = pause;
    }

    /** Another try may help, after this pause at least. */
    static FetchException passing(String message, Duration pause, Throwable cause) {
        return new FetchException(message, ExitCode.StorageFailed, true, pause, cause);
    }

    /** Nothing helps but another spec, or other rights. */
    static FetchException configuration(String message) {
        return new FetchException(message, ExitCode.InvalidConfiguration, false, Duration.ZERO, null);
    }

    /** What came is not what was announced. */
    static FetchException data(String message) {
        return new FetchException(message, ExitCode.InvalidData, false, Duration.ZERO, null);
    }

    ExitCode code() {
        return code;
    }

    boolean again() {
        return again;
    }

    Duration pause() {
        return pause;
    }
}
