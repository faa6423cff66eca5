package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

/** What channels of objects have in common: everything in terms of reads and writes at a place. */
abstract class ObjectChannel extends FileChannel {
    private static final int PIECE = 1 << 18;

    private long position;

    @Override
    public final synchronized int read(ByteBuffer to) throws IOException {
        int n = read(to, position);
        position += Math.max(0, n);
        return n;
    }

    @Override
    public final long read(ByteBuffer[] to, int offset, int length) throws IOException {
        long sum = 0;
        for (int i = offset; i < offset + length; i++) {
            while (to[i].hasRemaining()) {
                int n = read(to[i]);
                if (n < 0) {
                    return sum == 0 ? -1 : sum;
                }
                sum += n;
            }
        }
        return sum;
    }

    @Override
    public final synchronized int write(ByteBuffer from) throws IOException {
        int n = write(from, position);
        position += n;
        return n;
    }

    @Override
    public final long write(ByteBuffer[] from, int offset, int length) throws IOException {
        long sum = 0;
        for (int i = offset; i < offset + length; i++) {
            while (from[i].hasRemaining()) {
                sum += write(from[i]);
            }
        }
        return sum;
    }

    @Override
    public final synchronized long position() {
        return position;
    }

    @Override
    public final synchronized FileChannel position(long place) {
        if (place < 0) {
            throw new IllegalArgumentException("position " + place);
        }
        position = place;
        return this;
    }

    @Override
    public final long transferTo(long from, long count, WritableByteChannel to) throws IOException {
        ByteBuffer piece = ByteBuffer.allocate((int) Math.min(PIECE, count));
        long done = 0;
        while (done < count) {
            piece.clear().limit((int) Math.min(piece.capacity(), count - done));
            if (read(piece, from + done) < 0) {
                break;
            }
            piece.flip();
            while (piece.hasRemaining()) {
                done += to.write(piece);
            }
        }
        return done;
    }

    @Override
    public final long transferFrom(ReadableByteChannel from, long place, long count) throws IOException {
        ByteBuffer piece = ByteBuffer.allocate((int) Math.min(PIECE, count));
        long done = 0;
        while (done < count) {
            piece.clear().limit((int) Math.min(piece.capacity(), count - done));
            if (from.read(piece) < 0) {
                break;
            }
            piece.flip();
            while (piece.hasRemaining()) {
                done += write(piece, place + done);
            }
        }
        return done;
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long place, long size) throws IOException {
        throw new UnsupportedOperationException("only what is read is mapped");
    }

    @Override
    public final FileLock lock(long from, long size, boolean shared) {
        throw new UnsupportedOperationException("objects are not locked");
    }

    @Override
    public final FileLock tryLock(long from, long size, boolean shared) {
        throw new UnsupportedOperationException("objects are not locked");
    }
}
