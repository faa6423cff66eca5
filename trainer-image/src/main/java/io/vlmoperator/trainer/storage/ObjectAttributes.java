package io.vlmoperator.trainer.storage;

import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Optional;

/** What is known of an object (with its state) or of a folder (without). */
record ObjectAttributes(Optional<ObjectStore.Info> object) implements BasicFileAttributes {
    @Override
    public FileTime lastModifiedTime() {
        return FileTime.from(object.map(ObjectStore.Info::modified).orElse(Instant.EPOCH));
    }

    @Override
    public FileTime lastAccessTime() {
        return lastModifiedTime();
    }

    @Override
    public FileTime creationTime() {
        return lastModifiedTime();
    }

    @Override
    public boolean isRegularFile() {
        return object.isPresent();
    }

    @Override
    public boolean isDirectory() {
        return object.isEmpty();
    }

    @Override
    public boolean isSymbolicLink() {
        return false;
    }

    @Override
    public boolean isOther() {
        return false;
    }

    @Override
    public long size() {
        return object.map(ObjectStore.Info::size).orElse(0L);
    }

    @Override
    public Object fileKey() {
        return object.map(ObjectStore.Info::etag).orElse(null);
    }
}
