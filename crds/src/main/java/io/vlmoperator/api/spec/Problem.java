package io.vlmoperator.api.spec;

/**
 * What is wrong in a spec.
 *
 * @param path the field, such as {@code spec.sources[0].webDataset.location}
 * @param message what to write instead
 */
public record Problem(String path, String message) {
    @Override
    public String toString() {
        return path + ": " + message;
    }
}
