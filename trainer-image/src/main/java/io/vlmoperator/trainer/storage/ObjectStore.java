package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What is asked of object storage. Every call ends: retries and waits are bounded. An object appears whole under its key or not at all.
 * Errors are {@link IOException}s whose message names the object and what to do.
 */
public interface ObjectStore {
    /**
     * An object as it stands.
     *
     * @param etag changes whenever the content does
     */
    record Info(ObjectName name, long size, String etag, Instant modified) {}

    /**
     * What lies in a folder.
     *
     * @param objects directly in it
     * @param folders keys of what lies deeper, each with a slash at its end
     */
    record Listing(List<Info> objects, List<String> folders) {}

    /** When an object may be written. */
    sealed interface Condition {}

    /** Whatever is there. */
    record Always() implements Condition {}

    /** Only where nothing is: of several who try, one succeeds. */
    record IfAbsent() implements Condition {}

    /** Only over this state of it. */
    record IfUnchanged(String etag) implements Condition {}

    /** An object's state; empty when there is none. */
    Optional<Info> find(ObjectName name) throws IOException;

    /**
     * Bytes of an object.
     *
     * @param from first byte
     * @param size how many, at least one
     * @throws IOException when the object is no longer in that state, too
     */
    InputStream read(Info object, long from, long size) throws IOException;

    /**
     * Writes a file's content.
     *
     * @return the new state
     * @throws FileAlreadyExistsException when the condition does not hold
     */
    Info put(ObjectName name, Path file, Condition condition) throws IOException;

    /**
     * Makes an object of the content of others, in their order, whatever was there before. Nothing is sent.
     *
     * @param parts at most 10,000, each but the last of at least 5 MiB
     * @param joined told after each of them
     */
    void join(ObjectName name, List<Info> parts, Runnable joined) throws IOException;

    /**
     * Lists a folder.
     *
     * @param limit more than so many entries are an error, or with {@code 1} the rest is left out
     */
    Listing list(ObjectName folder, int limit) throws IOException;

    /** Deletes an object; none there is no error. */
    void delete(ObjectName name) throws IOException;

    /**
     * Ends uploads that were begun under a prefix and never finished; they cost room and nobody sees them.
     *
     * @return how many
     */
    int abortUploads(ObjectName prefix) throws IOException;
}
