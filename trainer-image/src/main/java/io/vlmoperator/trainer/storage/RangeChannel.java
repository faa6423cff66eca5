package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.NonReadableChannelException;
import java.nio.channels.NonWritableChannelException;

/** An object read in place, by ranges; mapping it makes a copy on this machine first. It must not change while it is open. */
final class RangeChannel extends ObjectChannel {
    private final ObjectStore store;
    private final ObjectStore.Info object;
    private final ReadAhead ahead;
    private final Cache cache;

    RangeChannel(ObjectStore store, ObjectStore.Info object, ReadAhead ahead, Cache cache) {
        this.store = store;
        this.object = object;
        this.ahead = ahead;
        this.cache = cache;
    }

    @Override
    public int read(ByteBuffer to, long position) throws IOException {
        if (!isOpen()) {
            throw new ClosedChannelException();
        }
        if (!to.hasRemaining()) {
            return 0;
        }
        if (position >= object.size()) {
            return -1;
        }
        return ahead.read(this, object.size(), position, to, (from, size) -> {
            try (InputStream in = new ObjectInput(store, object, from, from + size)) {
                return in.readNBytes(size);
            }
        });
    }

    @Override
    public long size() throws IOException {
        if (!isOpen()) {
            throw new ClosedChannelException();
        }
        return object.size();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
        try (FileChannel local = local(mode)) {
            return local.map(mode, position, size);
        }
    }

    @Override
    public MemorySegment map(MapMode mode, long offset, long size, Arena arena) throws IOException {
        try (FileChannel local = local(mode)) {
            return local.map(mode, offset, size, arena);
        }
    }

    private FileChannel local(MapMode mode) throws IOException {
        if (!isOpen()) {
            throw new ClosedChannelException();
        }
        if (!mode.equals(MapMode.READ_ONLY)) {
            throw new NonWritableChannelException();
        }
        return FileChannel.open(cache.file(store, object));
    }

    @Override
    public int write(ByteBuffer from, long position) {
        throw new NonWritableChannelException();
    }

    @Override
    public FileChannel truncate(long size) {
        throw new NonWritableChannelException();
    }

    @Override
    public void force(boolean metaData) {
        if (!isOpen()) {
            throw new NonReadableChannelException();
        }
    }

    @Override
    protected void implCloseChannel() {
        ahead.forget(this);
    }
}
