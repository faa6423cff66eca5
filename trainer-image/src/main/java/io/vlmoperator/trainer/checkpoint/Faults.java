package io.vlmoperator.trainer.checkpoint;

import java.io.IOException;
import java.nio.file.Path;

/** Called before each change to the disk while a checkpoint is written; tests let it fail there, as a full disk would. */
@FunctionalInterface
public interface Faults {
    /** Never fails. */
    Faults NONE = (call, path) -> {};

    /** @throws IOException instead of the call */
    void before(String call, Path path) throws IOException;
}
