package io.vlmoperator.trainer.text;

import ai.djl.huggingface.tokenizers.jni.LibUtils;

/** The native half of the tokenizers library. */
public final class Natives {
    private Natives() {}

    /**
     * Loads it now, which unpacks it below {@code DJL_CACHE_DIR} the first time.
     *
     * @throws IllegalStateException if this machine can't load it
     */
    public static void load() {
        try {
            LibUtils.checkStatus();
        } catch (RuntimeException | LinkageError e) {
            throw new IllegalStateException(
                    "the tokenizers library could not be loaded (Linux x86-64 is needed, and DJL_CACHE_DIR must be a folder that can be written the first time): "
                            + e.getMessage(),
                    e);
        }
    }
}
