package io.vlmoperator.trainer.fetch;

import java.io.IOException;
import java.util.Optional;
import java.util.OptionalLong;

/** Where what has come of a file lies until the whole is compared with its digest and gets its final name. One thread uses it. */
interface Landing {
    /** Bytes that are there, from the first on. */
    long size() throws IOException;

    /**
     * Gets ready to add bytes behind those that are there.
     *
     * @param digest that will be asked for, as far as it is known by now
     * @param size of the whole, as far as it is known by now
     */
    void begin(Optional<Digest> digest, OptionalLong size) throws IOException;

    /** Adds the first {@code count} bytes of an array. */
    void add(byte[] bytes, int count) throws IOException;

    /** No more bytes come for now; what has come outlives the program as far as the place allows. */
    void end() throws IOException;

    /** Whether all that is there has this size and content, as far as they are known. */
    boolean is(OptionalLong size, Optional<Digest> digest) throws IOException;

    /** Gives the file its final name. */
    void publish() throws IOException;

    /** Forgets everything. */
    void discard() throws IOException;
}
