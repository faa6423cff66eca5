package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.nio.file.Path;

/** A file is not the safetensors file it should be. The message names the file, and the tensor where it is one tensor's fault. */
public final class SafetensorsException extends IOException {
    private static final long serialVersionUID = 1;

    SafetensorsException(Path file, String problem) {
        super(file + ": " + problem);
    }

    SafetensorsException(Path file, String problem, Throwable cause) {
        super(file + ": " + problem, cause);
    }
}
