package io.vlmoperator.trainer.storage;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/** Files of this machine that belong to paths of a bucket: what begins with a dot, and what is on its way up. Gone with the program. */
final class Scratch {
    private static final String LOCK = "lock";

    private final Path folder;

    @SuppressWarnings("unused") // held as long as the program runs: tells others that the folder is in use
    private final FileLock inUse;

    private Scratch(Path folder, FileLock inUse) {
        this.folder = folder;
        this.inUse = inUse;
    }

    /** A folder of its own, after those of programs that have ended are gone. */
    static Scratch in(Path parent) throws IOException {
        Files.createDirectories(parent);
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(parent)) {
            for (Path folder : folders) {
                removeUnused(folder);
            }
        }
        Path folder = Files.createTempDirectory(parent, "");
        Scratch scratch = new Scratch(folder, lock(folder.resolve(LOCK), StandardOpenOption.CREATE));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> deleteQuietly(folder)));
        return scratch;
    }

    @SuppressWarnings("MustBeClosedChecker") // the channel is open as long as the lock is wanted
    private static FileLock lock(Path file, StandardOpenOption... create) throws IOException {
        StandardOpenOption[] options = java.util.Arrays.copyOf(create, create.length + 1);
        options[create.length] = StandardOpenOption.WRITE;
        FileChannel channel = FileChannel.open(file, options);
        try {
            FileLock lock = channel.tryLock();
            if (lock == null) {
                channel.close();
            }
            return lock;
        } catch (OverlappingFileLockException e) {
            channel.close();
            return null;
        }
    }

    private static void removeUnused(Path folder) throws IOException {
        try {
            FileLock lock = lock(folder.resolve(LOCK));
            if (lock != null) {
                delete(folder);
                lock.acquiredBy().close();
            }
        } catch (NoSuchFileException e) {
            return; // just being made, or just being removed, by another program
        }
    }

    /** Where the file of a path lies. */
    Path of(ObjectName name) {
        return folder.resolve(name.bucket()).resolve(name.key());
    }

    Path folder() {
        return folder;
    }

    static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.deleteIfExists(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path inner, IOException e) throws IOException {
                Files.deleteIfExists(inner);
                return FileVisitResult.CONTINUE;
            }
        });
    }

    private static void deleteQuietly(Path folder) {
        try {
            delete(folder);
        } catch (IOException e) {
            return; // the next program removes it
        }
    }
}
