package io.vlmoperator.trainer.storage;

/** What an object is called. A key has no slash in front; the empty key is the bucket itself. */
public record ObjectName(String bucket, String key) {
    @Override
    public String toString() {
        return "s3://" + bucket + "/" + key;
    }

    /** The key as a folder: with one slash at its end, or empty. */
    String asFolder() {
        return key.isEmpty() || key.endsWith("/") ? key : key + "/";
    }
}
