package io.vlmoperator.trainer.metric;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Files that only grow, taken over from an attempt that may still have them open: the same bytes in a new file under the old name. What
 * the old attempt writes afterwards goes to a file without a name.
 */
final class OwnFile {
    private OwnFile() {}

    /** Copies the first bytes of a file, if there is one, to a file beside it; {@link #publish} gives that its name. */
    static Path copy(Path file, long bytes) throws IOException {
        Path own = file.resolveSibling("." + file.getFileName() + "."
                + ProcessHandle.current().pid() + "." + Long.toHexString(System.nanoTime()) + ".tmp");
        try (FileChannel to = FileChannel.open(own, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            if (bytes > 0) {
                try (FileChannel from = FileChannel.open(file, StandardOpenOption.READ)) {
                    long done = 0;
                    while (done < bytes) {
                        long more = from.transferTo(done, bytes - done, to);
                        if (more <= 0) {
                            break;
                        }
                        done += more;
                    }
                }
            }
            to.force(true);
        } catch (IOException e) {
            Files.deleteIfExists(own);
            throw e;
        }
        return own;
    }

    /** Renames over the old file. */
    static void publish(Path own, Path file) throws IOException {
        try {
            Files.move(own, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(own);
        }
    }

    /** Takes over all files of a folder whose names begin so; what an attempt that ended in between has left is removed. */
    static void takeOver(Path folder, String prefix) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (name.startsWith("." + prefix) && name.endsWith(".tmp")) {
                    Files.deleteIfExists(file);
                } else if (name.startsWith(prefix)) {
                    publish(copy(file, Files.size(file)), file);
                }
            }
        } catch (NoSuchFileException e) {
            return; // nothing was written there yet
        }
    }
}
