package io.vlmoperator.trainer.storage;

import io.vlmoperator.trainer.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Whole objects as files of this machine, for what is mapped into memory or read by a library that wants a file. A copy is made once for
 * all programs of the machine, with its SHA-256 beside it, which every program checks before it uses a copy that it has not made. The
 * folder is bounded: what was not used for longest goes first.
 */
final class Cache {
    /** A library may open a file a moment after it was given the name: what was asked for just now stays. */
    private static final Duration IN_USE = Duration.ofMinutes(10);

    private static final String SUM = ".sha256";

    private final Path folder;
    private final long bound;
    private final Clock clock;
    private final Set<String> checked = ConcurrentHashMap.newKeySet();
    private final Object[] locks = new Object[64];

    /** @param bound bytes of all files together */
    Cache(Path folder, long bound, Clock clock) throws IOException {
        this.folder = Files.createDirectories(folder);
        this.bound = bound;
        this.clock = clock;
        java.util.Arrays.setAll(locks, i -> new Object());
    }

    /**
     * A file with the object's content, which nobody may change.
     *
     * @throws IOException when it can't be read, or is larger than the bound
     */
    Path file(ObjectStore store, ObjectStore.Info object) throws IOException {
        String name = name(object);
        Path file = folder.resolve(name);
        synchronized (locks[Math.floorMod(name.hashCode(), locks.length)]) {
            // One program of several on this machine fetches it, the others wait.
            try (FileChannel channel = FileChannel.open(
                            folder.resolve(name + ".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                    FileLock lock = lock(channel)) {
                if (!isWhole(file, object, name)) {
                    fetch(store, object, file);
                    checked.add(name);
                }
                touch(file);
                return file;
            }
        }
    }

    /** Waits for programs, and for other caches of this one, that make the same copy. */
    private static FileLock lock(FileChannel channel) throws IOException {
        while (true) {
            try {
                return channel.lock();
            } catch (OverlappingFileLockException e) {
                try {
                    Thread.sleep(20);
                } catch (InterruptedException stop) {
                    Thread.currentThread().interrupt();
                    throw new java.io.InterruptedIOException("interrupted while another copy is made");
                }
            }
        }
    }

    private static String name(ObjectStore.Info object) {
        String last = object.name().key().substring(object.name().key().lastIndexOf('/') + 1);
        String plain = last.replaceAll("[^A-Za-z0-9._-]", "_");
        byte[] identity =
                (object.name() + "\n" + object.etag() + "\n" + object.size()).getBytes(StandardCharsets.UTF_8);
        // The ending stays: readers tell forms of files by it.
        return HexFormat.of().formatHex(Json.sha256().digest(identity), 0, 16) + "-"
                + plain.substring(Math.max(0, plain.length() - 80));
    }

    private boolean isWhole(Path file, ObjectStore.Info object, String name) throws IOException {
        if (!Files.exists(file) || Files.size(file) != object.size()) {
            return false;
        }
        if (checked.contains(name)) {
            return true;
        }
        Path sum = folder.resolve(name + SUM);
        boolean whole = Files.exists(sum) && Files.readString(sum).equals(digest(file));
        if (whole) {
            checked.add(name);
        }
        return whole;
    }

    private void fetch(ObjectStore store, ObjectStore.Info object, Path file) throws IOException {
        makeRoom(object);
        Path part = file.resolveSibling(file.getFileName() + "."
                + Long.toHexString(ThreadLocalRandom.current().nextLong()) + ".part");
        try {
            MessageDigest sha256 = Json.sha256();
            byte[] buffer = new byte[1 << 18];
            try (InputStream in = new ObjectInput(store, object, 0, object.size());
                    OutputStream out = Files.newOutputStream(part)) {
                for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                    sha256.update(buffer, 0, n);
                    out.write(buffer, 0, n);
                }
            }
            Files.writeString(
                    file.resolveSibling(file.getFileName() + SUM),
                    HexFormat.of().formatHex(sha256.digest()));
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    private record Entry(Path file, long size, Instant used) {}

    private synchronized void makeRoom(ObjectStore.Info object) throws IOException {
        List<Entry> entries = new ArrayList<>();
        long sum = object.size();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (!Files.isRegularFile(file) || name.endsWith(SUM) || name.endsWith(".lock")) {
                    continue;
                }
                try {
                    Entry entry = new Entry(
                            file,
                            Files.size(file),
                            Files.getLastModifiedTime(file).toInstant());
                    entries.add(entry);
                    sum += entry.size();
                } catch (NoSuchFileException e) {
                    continue; // another program has removed it
                }
            }
        }
        entries.sort(Comparator.comparing(Entry::used));
        Instant recent = clock.instant().minus(IN_USE);
        for (Entry entry : entries) {
            if (sum <= bound || entry.used().isAfter(recent)) {
                break;
            }
            Files.deleteIfExists(entry.file());
            Files.deleteIfExists(entry.file().resolveSibling(entry.file().getFileName() + SUM));
            Files.deleteIfExists(entry.file().resolveSibling(entry.file().getFileName() + ".lock"));
            checked.remove(entry.file().getFileName().toString());
            sum -= entry.size();
        }
        if (sum > bound) {
            throw new IOException(object.name() + " (" + (object.size() >> 20) + " MiB) and what is in use in " + folder
                    + " are more than the bound of " + (bound >> 20) + " MiB; set VLM_CACHE to a larger folder or raise"
                    + " VLM_CACHE_MIB");
        }
    }

    private void touch(Path file) throws IOException {
        Files.setLastModifiedTime(file, FileTime.from(clock.instant()));
    }

    private static String digest(Path file) throws IOException {
        MessageDigest sha256 = Json.sha256();
        byte[] buffer = new byte[1 << 18];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                sha256.update(buffer, 0, n);
            }
        }
        return HexFormat.of().formatHex(sha256.digest());
    }
}
