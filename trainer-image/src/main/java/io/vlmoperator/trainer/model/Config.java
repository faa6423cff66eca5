package io.vlmoperator.trainer.model;

/** Checks shared by the configurations. */
final class Config {
    private Config() {}

    static void positive(String name, int value) {
        require(value > 0, name + " " + value + ", above 0 is needed");
    }

    static void require(boolean holds, String message) {
        if (!holds) {
            throw new IllegalArgumentException("model configuration: " + message);
        }
    }
}
