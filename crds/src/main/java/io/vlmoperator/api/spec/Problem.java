package io.vlmoperator.api.spec;

/**
 * What is wrong in a spec.
 *
 * @param path the field, such as {@code spec.sources[0].webDataset.location}
 * @param message what to write instead
 */
public record Problem(String path, String message) {
    /** Whether the spec is sound, and only this version can't run it. */
    public boolean isNotBuilt() {
        return message.startsWith(NotBuilt.MESSAGE);
    }

    @Override
    public String toString() {
        return path + ": " + message;
    }
}
