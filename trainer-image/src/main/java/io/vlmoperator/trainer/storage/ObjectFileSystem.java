package io.vlmoperator.trainer.storage;

import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.WatchService;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.util.List;
import java.util.Set;

/** The paths of one bucket. */
final class ObjectFileSystem extends FileSystem {
    private final ObjectProvider provider;
    private final String bucket;

    ObjectFileSystem(ObjectProvider provider, String bucket) {
        this.provider = provider;
        this.bucket = bucket;
    }

    String bucket() {
        return bucket;
    }

    @Override
    public ObjectProvider provider() {
        return provider;
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException("it is open as long as the program runs");
    }

    @Override
    public boolean isOpen() {
        return true;
    }

    @Override
    public boolean isReadOnly() {
        return false;
    }

    @Override
    public String getSeparator() {
        return "/";
    }

    @Override
    public Iterable<Path> getRootDirectories() {
        return List.of(getPath("/"));
    }

    @Override
    public Iterable<FileStore> getFileStores() {
        return List.of();
    }

    @Override
    public Set<String> supportedFileAttributeViews() {
        return Set.of("basic");
    }

    @Override
    public Path getPath(String first, String... more) {
        return new ObjectPath(this, Path.of(first, more));
    }

    @Override
    public PathMatcher getPathMatcher(String syntaxAndPattern) {
        PathMatcher matcher = FileSystems.getDefault().getPathMatcher(syntaxAndPattern);
        return path -> matcher.matches(
                Path.of(path.isAbsolute() ? "/" + ((ObjectPath) path).object().key() : path.toString()));
    }

    @Override
    public UserPrincipalLookupService getUserPrincipalLookupService() {
        throw new UnsupportedOperationException("object storage has no owners");
    }

    @Override
    public WatchService newWatchService() {
        throw new UnsupportedOperationException("object storage is not watched");
    }

    @Override
    public String toString() {
        return "s3://" + bucket;
    }
}
