package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * An object being written: a file of this machine until {@link #close}, which uploads it. After an error of a write nothing is uploaded.
 * A file that grows is uploaded every now and then, too, each time over the state that it left; when somebody else has written there
 * since, it belongs to them and nothing more is uploaded.
 */
final class SpoolChannel extends ObjectChannel {
    private final ObjectStore store;
    private final ObjectName name;
    private final Path file;
    private final FileChannel local;
    private final Optional<Thread> uploader;
    private final Object uploading = new Object();
    private ObjectStore.Condition condition;
    private volatile boolean failed;
    private volatile boolean lost;
    private volatile boolean changed;
    private boolean closing;

    /** @param condition of the upload */
    static SpoolChannel whole(
            ObjectStore store, ObjectName name, Path file, FileChannel local, ObjectStore.Condition condition) {
        return new SpoolChannel(store, name, file, local, condition, Optional.empty());
    }

    /**
     * @param condition of the first upload; later ones go over what the one before has left
     * @param every time between uploads
     */
    static SpoolChannel growing(
            ObjectStore store,
            ObjectName name,
            Path file,
            FileChannel local,
            ObjectStore.Condition condition,
            Duration every) {
        return new SpoolChannel(store, name, file, local, condition, Optional.of(every));
    }

    private SpoolChannel(
            ObjectStore store,
            ObjectName name,
            Path file,
            FileChannel local,
            ObjectStore.Condition condition,
            Optional<Duration> every) {
        this.store = store;
        this.name = name;
        this.file = file;
        this.local = local;
        this.condition = condition;
        changed = every.isEmpty() || !(condition instanceof ObjectStore.IfUnchanged);
        uploader = every.map(time -> Thread.ofVirtual().name("upload " + name).start(() -> uploadEvery(time)));
    }

    private void uploadEvery(Duration time) {
        long wait = time.toMillis();
        while (isOpen() && !lost) {
            try {
                Thread.sleep(wait);
                long begin = System.nanoTime();
                synchronized (uploading) {
                    if (closing) {
                        return;
                    }
                    upload();
                }
                // A file that takes long to upload is uploaded less often.
                wait = Math.max(time.toMillis(), (System.nanoTime() - begin) / 100_000);
            } catch (InterruptedException e) {
                return;
            } catch (IOException e) {
                continue; // tried again next time; the last time, in close(), the error is told
            }
        }
    }

    private void upload() throws IOException {
        synchronized (uploading) {
            if (!changed || failed || lost) {
                return;
            }
            changed = false;
            try {
                ObjectStore.Info now = store.put(name, file, condition);
                if (uploader.isPresent() || condition instanceof ObjectStore.IfUnchanged) {
                    condition = new ObjectStore.IfUnchanged(now.etag());
                }
            } catch (FileAlreadyExistsException e) {
                if (condition instanceof ObjectStore.IfUnchanged) {
                    lost = true;
                    return;
                }
                throw e;
            } catch (IOException e) {
                changed = true;
                throw e;
            }
        }
    }

    @Override
    public int read(ByteBuffer to, long position) throws IOException {
        return local.read(to, position);
    }

    @Override
    public int write(ByteBuffer from, long position) throws IOException {
        try {
            int n = local.write(from, position);
            changed = true;
            return n;
        } catch (IOException e) {
            failed = true;
            throw e;
        }
    }

    @Override
    public long size() throws IOException {
        return local.size();
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
        local.truncate(size);
        changed = true;
        return this;
    }

    /** On this machine only: an upload is whole or not at all, whenever it happens. */
    @Override
    public void force(boolean metaData) throws IOException {
        local.force(metaData);
    }

    @Override
    protected void implCloseChannel() throws IOException {
        try {
            synchronized (uploading) {
                closing = true; // from here on an interruption meets the wait only, never an upload half-way
            }
            uploader.ifPresent(Thread::interrupt);
            local.close();
            upload();
        } finally {
            Files.deleteIfExists(file);
        }
    }
}
