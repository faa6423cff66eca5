package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/**
 * Small reads of objects in larger pieces. Each thread keeps its own last few pieces, so that threads which read samples in different
 * places do not take pieces from each other. A piece grows while a thread reads on where the last one ended.
 */
final class ReadAhead {
    /** The members of a sample lie side by side: one request for all of them. */
    static final int FIRST = 1 << 17;

    static final int MOST = 1 << 22;
    private static final int PIECES = 4;

    private final ThreadLocal<Deque<Piece>> pieces = ThreadLocal.withInitial(ArrayDeque::new);

    /** @param file who it belongs to */
    @SuppressWarnings("ArrayRecordComponent") // never handed out
    private record Piece(WeakReference<Object> file, long from, byte[] bytes) {
        boolean isOf(Object other) {
            return file.refersTo(other);
        }

        long end() {
            return from + bytes.length;
        }
    }

    /** Gets bytes from the store. */
    interface Source {
        byte[] read(long from, int size) throws IOException;
    }

    /** Puts at least one byte into the buffer. */
    int read(Object file, long fileSize, long position, ByteBuffer to, Source source) throws IOException {
        Deque<Piece> known = pieces.get();
        Piece before = null;
        for (Iterator<Piece> i = known.iterator(); i.hasNext(); ) {
            Piece piece = i.next();
            if (piece.isOf(file)) {
                if (piece.from() <= position && position < piece.end()) {
                    int n = (int) Math.min(to.remaining(), piece.end() - position);
                    to.put(piece.bytes(), (int) (position - piece.from()), n);
                    return n;
                }
                if (position >= piece.end() && position - piece.end() <= FIRST) {
                    before = piece;
                    i.remove();
                    break;
                }
            }
        }
        long wanted = before == null ? FIRST : Math.min(MOST, 2L * before.bytes().length);
        int size = (int) Math.min(fileSize - position, Math.max(wanted, to.remaining()));
        byte[] bytes = source.read(position, size);
        if (bytes.length < size) {
            throw new java.io.EOFException("got " + bytes.length + " of " + size + " bytes at " + position);
        }
        int n = Math.min(to.remaining(), size);
        to.put(bytes, 0, n);
        if (size <= MOST) {
            while (known.size() >= PIECES) {
                known.removeLast();
            }
            known.addFirst(new Piece(new WeakReference<>(file), position, bytes));
        }
        return n;
    }

    void forget(Object file) {
        pieces.get().removeIf(piece -> piece.isOf(file));
    }
}
