package io.vlmoperator.trainer.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** Reads images that conversations name by a path inside one folder. */
final class ImageFolder {
    /** Bytes of a name that object storage takes, too. */
    private static final int MAX_NAME = 900;
    /** What Linux says of names that lead nowhere: these are about the sample, other errors about the storage. */
    private static final Set<String> NOWHERE =
            Set.of("Not a directory", "File name too long", "Too many levels of symbolic links");

    private ImageFolder() {}

    /**
     * @throws RejectedException ImageMissing, UnsafeImagePath, ImageTooLarge
     * @throws IOException when the storage fails
     */
    static byte[] read(Optional<Path> folder, String name) throws IOException, RejectedException {
        if (folder.isEmpty()) {
            throw new RejectedException(
                    RejectReason.ImageMissing, "the source names no folder of images (conversations.images)");
        }
        Path path;
        try {
            path = Path.of(name);
        } catch (InvalidPathException e) {
            throw new RejectedException(RejectReason.UnsafeImagePath, "no path: " + IndexRow.cut(name));
        }
        boolean climbs = path.isAbsolute();
        for (Path part : path) {
            climbs |= part.toString().equals("..");
        }
        if (climbs || name.isEmpty()) {
            throw new RejectedException(
                    RejectReason.UnsafeImagePath, "'" + IndexRow.cut(name) + "' is no path inside the folder");
        }
        if (name.getBytes(StandardCharsets.UTF_8).length > MAX_NAME) {
            throw new RejectedException(
                    RejectReason.ImageMissing, "'" + IndexRow.cut(name) + "' is longer than " + MAX_NAME + " bytes");
        }
        Path root;
        try {
            root = folder.get().toRealPath();
        } catch (NoSuchFileException e) {
            throw new RejectedException(RejectReason.ImageMissing, folder.get() + " does not exist");
        }
        try {
            Path real = root.resolve(name).toRealPath();
            if (!real.startsWith(root)) {
                throw new RejectedException(
                        RejectReason.UnsafeImagePath, IndexRow.cut(name) + " is a link that leads out of the folder");
            }
            if (!Files.isRegularFile(real)) {
                throw new RejectedException(RejectReason.ImageMissing, IndexRow.cut(name) + " is no file");
            }
            long size = Files.size(real);
            if (size > SampleRules.MAX_IMAGE_BYTES) {
                throw new RejectedException(
                        RejectReason.ImageTooLarge, size + " bytes, at most " + SampleRules.MAX_IMAGE_BYTES);
            }
            return Files.readAllBytes(real);
        } catch (NoSuchFileException e) {
            throw new RejectedException(RejectReason.ImageMissing, IndexRow.cut(name) + " does not exist");
        } catch (FileSystemException e) {
            if (leadsNowhere(e)) {
                throw new RejectedException(RejectReason.ImageMissing, IndexRow.cut(name) + " leads to no file");
            }
            throw e;
        }
    }

    private static boolean leadsNowhere(FileSystemException e) {
        String reason = String.valueOf(e.getReason());
        return NOWHERE.stream().anyMatch(reason::startsWith);
    }
}
