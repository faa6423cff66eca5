package io.vlmoperator.trainer.storage;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.ProviderMismatchException;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;

/** A path in a bucket. The rules of names are those of the files of this machine; the text of an absolute one is its location. */
final class ObjectPath implements Path {
    private final ObjectFileSystem files;
    private final Path names;

    ObjectPath(ObjectFileSystem files, Path names) {
        this.files = files;
        this.names = names;
    }

    private ObjectPath of(Path other) {
        return other == null ? null : new ObjectPath(files, other);
    }

    private Path names(Path other) {
        if (other instanceof ObjectPath path && path.files.equals(files)) {
            return path.names;
        }
        throw new ProviderMismatchException(other + " does not lie in " + files);
    }

    /** The object, or folder, that the path names. */
    ObjectName object() {
        String text = names.isAbsolute() ? names.normalize().toString() : "/" + names.normalize();
        return new ObjectName(files.bucket(), text.substring(1));
    }

    /** Whether it is a file of this machine only: one of its names begins with a dot. */
    boolean isScratch() {
        for (Path name : names) {
            if (name.toString().startsWith(".")) {
                return true;
            }
        }
        return false;
    }

    @Override
    public ObjectFileSystem getFileSystem() {
        return files;
    }

    @Override
    public boolean isAbsolute() {
        return names.isAbsolute();
    }

    @Override
    public Path getRoot() {
        return of(names.getRoot());
    }

    @Override
    public Path getFileName() {
        return of(names.getFileName());
    }

    @Override
    public Path getParent() {
        return of(names.getParent());
    }

    @Override
    public int getNameCount() {
        return names.getNameCount();
    }

    @Override
    public Path getName(int index) {
        return of(names.getName(index));
    }

    @Override
    public Path subpath(int from, int to) {
        return of(names.subpath(from, to));
    }

    @Override
    public boolean startsWith(Path other) {
        return other instanceof ObjectPath path && path.files.equals(files) && names.startsWith(path.names);
    }

    @Override
    public boolean endsWith(Path other) {
        return other instanceof ObjectPath path && path.files.equals(files) && names.endsWith(path.names);
    }

    @Override
    public Path normalize() {
        return of(names.normalize());
    }

    @Override
    public Path resolve(Path other) {
        return of(names.resolve(names(other)));
    }

    @Override
    public Path relativize(Path other) {
        return of(names.relativize(names(other)));
    }

    @Override
    public URI toUri() {
        try {
            return new URI("s3", files.bucket(), "/" + object().key(), null);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public Path toAbsolutePath() {
        return isAbsolute() ? this : of(Path.of("/").resolve(names));
    }

    @Override
    public Path toRealPath(LinkOption... options) {
        return toAbsolutePath().normalize();
    }

    @Override
    public WatchKey register(WatchService watcher, WatchEvent.Kind<?>[] events, WatchEvent.Modifier... modifiers) {
        throw new UnsupportedOperationException("object storage is not watched");
    }

    @Override
    public int compareTo(Path other) {
        return names.compareTo(((ObjectPath) other).names);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ObjectPath path && path.files.equals(files) && path.names.equals(names);
    }

    @Override
    public int hashCode() {
        return names.hashCode();
    }

    @Override
    public String toString() {
        return names.isAbsolute() ? "s3://" + files.bucket() + names : names.toString();
    }
}
