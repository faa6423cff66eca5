package io.vlmoperator.trainer.storage;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;

/** A part of an object from its front to its end. A connection that breaks is taken up again where it broke, a bounded number of times. */
final class ObjectInput extends InputStream {
    private static final int TRIES = 5;

    private final ObjectStore store;
    private final ObjectStore.Info object;
    private final long end;
    private long position;
    private InputStream stream;
    private int failures;

    /** Bytes [from, to) of the object. */
    ObjectInput(ObjectStore store, ObjectStore.Info object, long from, long to) {
        this.store = store;
        this.object = object;
        position = from;
        end = to;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        if (length == 0) {
            return 0;
        }
        while (position < end) {
            try {
                if (stream == null) {
                    stream = store.read(object, position, end - position);
                }
                int n = stream.read(bytes, offset, length);
                if (n > 0) {
                    position += n;
                    failures = 0;
                    return n;
                }
                throw new EOFException(object.name() + ": ends at byte " + position + " of " + object.size());
            } catch (IOException e) {
                close();
                if (e instanceof StoreException refused && refused.permanent()) {
                    throw e;
                }
                if (++failures >= TRIES) {
                    throw new IOException(
                            object.name() + ": broke off at byte " + position + " of " + object.size() + " " + TRIES
                                    + " times: " + e.getMessage(),
                            e);
                }
                pause();
            }
        }
        return -1;
    }

    private void pause() throws IOException {
        try {
            Thread.sleep(50L << failures);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new java.io.InterruptedIOException(object.name() + ": interrupted");
        }
    }

    /** Bytes not read yet. */
    @Override
    public int available() {
        return (int) Math.min(Integer.MAX_VALUE, end - position);
    }

    @Override
    public void close() throws IOException {
        if (stream != null) {
            try (InputStream closing = stream) {
                stream = null;
            }
        }
    }
}
