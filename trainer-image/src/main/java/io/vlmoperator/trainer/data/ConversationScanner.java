package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;

/**
 * Finds the objects of a JSON array or the lines of a JSON-lines file without parsing them, in constant memory: a broken object does not
 * take the rest with it. Which of the two it is, the first character says.
 */
final class ConversationScanner {
    /** Bytes of one conversation at most. */
    static final int MAX_OBJECT = 16 << 20;

    private static final int BUFFER = 1 << 16;

    private final InputStream in;
    private final byte[] buffer = new byte[BUFFER];
    private int position;
    private int limit;
    /** Place of the buffer's end in the file. */
    private long read;

    private boolean array;
    private boolean started;
    private boolean ended;

    /** Place of one object in the file. */
    record Range(long offset, long size) {}

    ConversationScanner(InputStream in) {
        this.in = in;
    }

    /**
     * The next object; empty at the end.
     *
     * @throws RejectedException when the rest of the file can't be read as JSON; nothing follows
     */
    Optional<Range> next() throws IOException, RejectedException {
        if (ended) {
            return Optional.empty();
        }
        int c = skipSpace();
        if (!started) {
            started = true;
            if (c == 0xEF && read() == 0xBB && read() == 0xBF) { // a byte order mark
                c = skipSpace();
            }
            if (c == '[') {
                array = true;
                c = skipSpace();
            } else if (c >= 0 && c != '{') {
                throw end("the file begins neither with [ nor with {");
            }
        } else if (array && c == ',') {
            c = skipSpace();
        }
        if (c < 0) {
            ended = true;
            if (array) {
                throw end("the list does not end with ]; the file is cut");
            }
            return Optional.empty();
        }
        if (array && c == ']') {
            ended = true;
            return Optional.empty();
        }
        return Optional.of(array ? object(c) : line());
    }

    private Range object(int first) throws IOException, RejectedException {
        if (first != '{') {
            throw end("an object was expected at byte " + (at() - 1));
        }
        long start = at() - 1;
        int depth = 1;
        boolean string = false;
        while (depth > 0) {
            int c = read();
            if (c < 0) {
                throw end("the object at byte " + start + " does not end; the file is cut");
            }
            if (string) {
                if (c == '\\') {
                    read();
                } else if (c == '"') {
                    string = false;
                }
            } else if (c == '"') {
                string = true;
            } else if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                depth--;
            }
            if (at() - start > MAX_OBJECT) {
                throw end("the object at byte " + start + " has more than " + MAX_OBJECT + " bytes");
            }
        }
        return new Range(start, at() - start);
    }

    private Range line() throws IOException, RejectedException {
        long start = at() - 1;
        while (position < limit || fill()) {
            while (position < limit) {
                if (buffer[position++] == '\n') {
                    return new Range(start, at() - start - 1);
                }
            }
        }
        return new Range(start, at() - start);
    }

    private int skipSpace() throws IOException {
        int c = read();
        while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            c = read();
        }
        return c;
    }

    /** Bytes that were taken so far. */
    private long at() {
        return read - (limit - position);
    }

    private int read() throws IOException {
        return position < limit || fill() ? buffer[position++] & 0xFF : -1;
    }

    private boolean fill() throws IOException {
        int count = in.read(buffer, 0, BUFFER);
        position = 0;
        limit = Math.max(0, count);
        read += limit;
        return count > 0;
    }

    private RejectedException end(String detail) {
        ended = true;
        return new RejectedException(RejectReason.JsonInvalid, detail);
    }
}
