package io.vlmoperator.trainer.checkpoint;

import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
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
     * Creates a file with this content unless it exists; of several who try, one succeeds. Where the file system knows no links, one who ends in
     * the midst leaves an empty file.
     *
     * @throws FileAlreadyExistsException for the others
     */
    public static void create(Path file, byte[] content) throws IOException {
        create(file, content, Files::createLink);
    }

    /** Gives a file a second name that nobody had. */
    interface Naming {
        void link(Path name, Path existing) throws IOException;
    }

    static void create(Path file, byte[] content, Naming naming) throws IOException {
        Path temporary = file.resolveSibling("." + file.getFileName() + "."
                + ProcessHandle.current().pid() + "." + Long.toHexString(System.nanoTime()));
        try {
            writeNew(temporary, content);
            try {
                naming.link(file, temporary);
            } catch (FileAlreadyExistsException e) {
                throw e;
            } catch (UnsupportedOperationException | FileSystemException e) {
                // A file system without links (SMB, FAT, many in user space), which each of them says in its own words:
                // exclusive all the same, but for a moment, or for ever if this ends here, the file is empty.
                Files.createFile(file);
                rename(temporary, file);
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
