package io.vlmoperator.trainer.fetch;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A file that is to be brought.
 *
 * @param name below the target's folder, with {@code /} between its parts
 * @param size bytes, if the origin tells
 * @param digest of its content, if the origin or the spec tells
 * @param origin where its bytes come from
 */
record RemoteFile(String name, OptionalLong size, Optional<Digest> digest, Origin origin) {
    /** Where bytes come from. */
    interface Origin {
        /**
         * The bytes from a place on.
         *
         * @throws FetchException with what to do, and whether another try may help
         */
        Body open(long from) throws IOException;

        /** For messages. */
        @Override
        String toString();
    }

    /**
     * An answer.
     *
     * @param from its first byte: 0 where the origin knows no ranges
     * @param total bytes of the whole file, if the answer tells
     * @param digest of the whole file, if the answer tells
     */
    record Body(InputStream in, long from, OptionalLong total, Optional<Digest> digest) implements AutoCloseable {
        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
