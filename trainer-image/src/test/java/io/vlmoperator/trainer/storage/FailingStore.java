package io.vlmoperator.trainer.storage;

import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/** Objects in memory, with one call that fails: before it has done anything, in the middle, or after it has done all of it. */
public final class FailingStore implements ObjectStore {
    /** How a call fails. */
    public enum When {
        BEFORE,
        /** A read ends in mid-body; a write has read its file and stores nothing, as a multipart upload that is not completed. */
        MIDWAY,
        /** Done, but the answer is lost. */
        AFTER
    }

    private record Stored(byte[] content, String etag) {}

    private final Map<ObjectName, Stored> objects = new TreeMap<>(java.util.Comparator.comparing(ObjectName::toString));
    private int versions;
    private int calls;
    private int failing = -1;
    private When when = When.BEFORE;

    /** Buckets of this store. */
    public Buckets buckets(Path cache) throws IOException {
        return Buckets.of(this, cache, 1L << 30, Duration.ofHours(1));
    }

    /** Lets one call fail, counted from now on; {@code -1}: none. */
    public synchronized void fail(int call, When how) {
        calls = 0;
        failing = call;
        when = how;
    }

    /** Calls since {@link #fail}. */
    public synchronized int calls() {
        return calls;
    }

    /** The content of all objects by name. */
    public synchronized Map<String, byte[]> contents() {
        Map<String, byte[]> contents = new TreeMap<>();
        objects.forEach((name, stored) -> contents.put(name.toString(), stored.content()));
        return contents;
    }

    private boolean fails(When now) throws IOException {
        if (calls - 1 != failing || when != now) {
            return false;
        }
        if (now != When.MIDWAY) {
            throw new IOException("the store failed " + now);
        }
        return true;
    }

    private synchronized void begin() throws IOException {
        calls++;
        fails(When.BEFORE);
    }

    private Info info(ObjectName name, Stored stored) {
        return new Info(name, stored.content().length, stored.etag(), Instant.ofEpochSecond(versions));
    }

    @Override
    public synchronized Optional<Info> find(ObjectName name) throws IOException {
        begin();
        Optional<Info> found = Optional.ofNullable(objects.get(name)).map(stored -> info(name, stored));
        fails(When.AFTER);
        return found;
    }

    @Override
    public synchronized InputStream read(Info object, long from, long size) throws IOException {
        begin();
        Stored stored = objects.get(object.name());
        if (stored == null || !stored.etag().equals(object.etag())) {
            throw new StoreException(object.name() + " changed while it was read", true, null);
        }
        InputStream all = new ByteArrayInputStream(stored.content(), (int) from, (int) size);
        if (!fails(When.MIDWAY)) {
            fails(When.AFTER);
            return all;
        }
        return new FilterInputStream(all) {
            private long left = size / 2;

            @Override
            public int read(byte[] bytes, int offset, int length) throws IOException {
                if (left <= 0) {
                    throw new IOException("the connection broke");
                }
                int n = super.read(bytes, offset, (int) Math.min(length, left));
                left -= n;
                return n;
            }
        };
    }

    @Override
    public synchronized Info put(ObjectName name, Path file, Condition condition) throws IOException {
        begin();
        byte[] content = Files.readAllBytes(file);
        if (fails(When.MIDWAY)) {
            throw new IOException("the upload broke off");
        }
        Stored before = objects.get(name);
        boolean allowed = switch (condition) {
            case Always any -> true;
            case IfAbsent any -> before == null;
            case IfUnchanged same -> before != null && before.etag().equals(same.etag());
        };
        if (!allowed) {
            throw new FileAlreadyExistsException(name.toString());
        }
        Stored stored = new Stored(content, "\"v" + ++versions + "\"");
        objects.put(name, stored);
        fails(When.AFTER);
        return info(name, stored);
    }

    @Override
    public synchronized void join(ObjectName name, List<Info> parts, Runnable joined) throws IOException {
        begin();
        java.io.ByteArrayOutputStream all = new java.io.ByteArrayOutputStream();
        for (Info part : parts) {
            Stored stored = objects.get(part.name());
            if (stored == null || !stored.etag().equals(part.etag())) {
                throw new StoreException(part.name() + " changed", true, null);
            }
            all.write(stored.content());
            joined.run();
        }
        if (fails(When.MIDWAY)) {
            throw new IOException("the upload broke off");
        }
        objects.put(name, new Stored(all.toByteArray(), "\"v" + ++versions + "\""));
        fails(When.AFTER);
    }

    @Override
    public synchronized Listing list(ObjectName folder, int limit) throws IOException {
        begin();
        List<Info> found = new ArrayList<>();
        TreeSet<String> folders = new TreeSet<>();
        String prefix = folder.asFolder();
        objects.forEach((name, stored) -> {
            if (name.bucket().equals(folder.bucket()) && name.key().startsWith(prefix)) {
                int slash = name.key().indexOf('/', prefix.length());
                if (slash < 0) {
                    found.add(info(name, stored));
                } else {
                    folders.add(name.key().substring(0, slash + 1));
                }
            }
        });
        fails(When.AFTER);
        return new Listing(found, List.copyOf(folders));
    }

    @Override
    public synchronized void delete(ObjectName name) throws IOException {
        begin();
        objects.remove(name);
        fails(When.AFTER);
    }

    @Override
    public int abortUploads(ObjectName prefix) {
        return 0;
    }
}
