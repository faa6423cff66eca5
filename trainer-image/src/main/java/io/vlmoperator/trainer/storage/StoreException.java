package io.vlmoperator.trainer.storage;

import java.io.IOException;

/** What a store refuses, with the object, the reason and what to do. */
public final class StoreException extends IOException {
    private static final long serialVersionUID = 1L;
    private final boolean permanent;

    /** @param permanent whether trying again is of no use until somebody changes the configuration */
    public StoreException(String message, boolean permanent, Throwable cause) {
        super(message, cause);
        this.permanent = permanent;
    }

    /** Whether trying again is of no use until somebody changes the configuration. */
    public boolean permanent() {
        return permanent;
    }
}
