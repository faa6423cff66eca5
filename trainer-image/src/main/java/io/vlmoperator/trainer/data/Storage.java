package io.vlmoperator.trainer.data;

import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ThreadLocalRandom;

/** Files that appear under their final name whole or not at all. */
final class Storage {
    private Storage() {}

    /** Writes the file it is given; may leave half of it behind. */
    interface Writer {
        void write(Path temporary) throws IOException;
    }

    /**
     * @throws TrainerException StorageFailed, with nothing new under the final name and no temporary file left
     */
    static void publish(Path file, Writer writer) {
        Path temporary = file.resolveSibling(
                "." + file.getFileName() + ".tmp-" + ProcessHandle.current().pid() + "-"
                        + Long.toHexString(ThreadLocalRandom.current().nextLong()));
        try {
            writer.write(temporary);
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw TrainerException.storage("can't write " + file + ": " + e.getMessage(), e);
        } finally {
            try {
                Files.deleteIfExists(temporary);
            } catch (IOException e) {
                // The first error is the one to tell; a left temporary file is removed by the next attempt.
            }
        }
    }

    static void createFolder(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw TrainerException.storage("can't make the folder " + folder + ": " + e, e);
        }
    }

    static boolean delete(Path file) {
        try {
            return Files.deleteIfExists(file);
        } catch (IOException e) {
            throw TrainerException.storage("can't delete " + file + ": " + e.getMessage(), e);
        }
    }

    /** Removes what a killed attempt left of one file. */
    static void deleteTemporaries(Path folder, String name) {
        try (var files = Files.newDirectoryStream(folder, "." + glob(name) + ".tmp-*")) {
            for (Path file : files) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw TrainerException.storage("can't clean up " + folder + ": " + e.getMessage(), e);
        }
    }

    private static String glob(String name) {
        return name.replaceAll("([\\[\\]{}*?\\\\])", "\\\\$1");
    }

    /** Bytes [offset, offset + size) of a file. */
    static byte[] read(FileChannel channel, long offset, int size) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(size);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, offset + bytes.position()) < 0) {
                throw new java.io.EOFException("the file ends at byte " + channel.size());
            }
        }
        return bytes.array();
    }
}
