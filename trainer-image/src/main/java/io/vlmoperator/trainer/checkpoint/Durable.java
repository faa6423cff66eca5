package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.HexFormat;

/** File operations after which a crash finds either the old or the new state, never a part. */
public final class Durable {
    private Durable() {}

    /** Writes a file under a temporary name, forces it to the disk and renames it into place. */
    public static void write(Path file, byte[] content) throws IOException {
        Path temporary = temporary(file);
        try {
            writeNew(temporary, content);
            rename(temporary, file);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /**
     * Creates a file with this content unless it exists; of several who try, one succeeds.
     *
     * @throws FileAlreadyExistsException for the others
     */
    public static void create(Path file, byte[] content) throws IOException {
        Path temporary = file.resolveSibling("." + file.getFileName() + "."
                + ProcessHandle.current().pid() + "." + Long.toHexString(System.nanoTime()));
        try {
            writeNew(temporary, content);
            try {
                Files.createLink(file, temporary);
            } catch (UnsupportedOperationException | java.nio.file.AccessDeniedException e) {
                // A file system without links: exclusive all the same, but readers may see it empty for a moment.
                Files.createFile(file);
                writeNew(file, content);
            }
            force(file.toAbsolutePath().getParent());
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** Renames over whatever is there, and makes that last. */
    static void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        force(to.toAbsolutePath().getParent());
    }

    static Path temporary(Path file) {
        return file.resolveSibling("." + file.getFileName() + ".tmp");
    }

    private static void writeNew(Path file, byte[] content) throws IOException {
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            ByteBuffer bytes = ByteBuffer.wrap(content);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
    }

    /** Forces a folder's entries to the disk. */
    static void force(Path folder) throws IOException {
        if (Buckets.isRemote(folder)) {
            return; // what a store has acknowledged is there
        }
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** Forces a file's content to the disk. */
    static void forceFile(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.force(true);
        }
    }

    /** {@code sha256:...} of a file's content. */
    public static String digest(Path file) throws IOException {
        MessageDigest sha256 = io.vlmoperator.trainer.Json.sha256();
        byte[] buffer = new byte[1 << 20];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                sha256.update(buffer, 0, n);
            }
        }
        return "sha256:" + HexFormat.of().formatHex(sha256.digest());
    }

    /** Deletes a folder with what is directly in it; what is gone already is no error. */
    static void deleteFolder(Path folder) throws IOException {
        try (var entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                Files.deleteIfExists(entry);
            }
        } catch (NoSuchFileException e) {
            return;
        }
        Files.deleteIfExists(folder);
    }
}
