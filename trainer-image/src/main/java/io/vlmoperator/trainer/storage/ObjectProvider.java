package io.vlmoperator.trainer.storage;

import io.vlmoperator.api.run.ExitCode;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.FileTime;
import java.nio.file.spi.FileSystemProvider;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What the calls of {@link Files} mean for a bucket. Paths with a name that begins with a dot are files of this machine; giving such a
 * file, or folder of files, a plain name uploads it. A folder is there when something lies in it, or when this program has made it.
 */
final class ObjectProvider extends FileSystemProvider {
    /** More entries than this in one folder is a mistake. */
    private static final int MAX_ENTRIES = 1_000_000;

    /** A folder of a model counts, for those who load it, once this is there; it goes up last. */
    private static final String LAST = "config.json";

    private final ObjectStore store;
    private final Scratch scratch;
    private final Cache cache;
    private final Duration growth;
    private final ReadAhead ahead = new ReadAhead();

    /** @param growth time between uploads of files that grow */
    ObjectProvider(ObjectStore store, Scratch scratch, Cache cache, Duration growth) {
        this.store = store;
        this.scratch = scratch;
        this.cache = cache;
        this.growth = growth;
    }

    private static ObjectPath path(Path path) {
        return (ObjectPath) path;
    }

    private static ObjectName name(Path path) {
        return path(path).object();
    }

    private Path local(Path path) {
        return scratch.of(name(path));
    }

    private static boolean isScratch(Path path) {
        return path(path).isScratch();
    }

    private ObjectStore.Info require(Path path) throws IOException {
        return store.find(name(path)).orElseThrow(() -> new NoSuchFileException(path.toString()));
    }

    /** A file of this machine with the content of the path, for libraries that read and write files only. */
    Path file(Path path) throws IOException {
        if (isScratch(path)) {
            Files.createDirectories(local(path).getParent());
            return local(path);
        }
        return cache.file(store, require(path));
    }

    /** Makes an object of others. */
    void join(List<Path> parts, Path target, Runnable joined) throws IOException {
        List<ObjectStore.Info> objects = new ArrayList<>();
        for (Path part : parts) {
            objects.add(require(part));
        }
        store.join(name(target), objects, joined);
    }

    /** Ends the unfinished uploads under a folder. */
    int abortUploads(Path folder) throws IOException {
        ObjectName name = name(folder);
        return store.abortUploads(new ObjectName(name.bucket(), name.asFolder()));
    }

    /** One look at what lies there, so that wrong names and credentials are told before any work. */
    void check(Path path) throws IOException {
        store.list(name(path), 1);
    }

    @Override
    public FileChannel newFileChannel(Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
            throws IOException {
        if (isScratch(path)) {
            Path local = local(path);
            if (options.contains(StandardOpenOption.WRITE) || options.contains(StandardOpenOption.APPEND)) {
                Files.createDirectories(local.getParent());
            }
            return FileChannel.open(local, options);
        }
        if (!options.contains(StandardOpenOption.WRITE) && !options.contains(StandardOpenOption.APPEND)) {
            return new RangeChannel(store, require(path), ahead, cache);
        }
        return spool(path, options);
    }

    @SuppressWarnings("MustBeClosedChecker") // the channel that is returned closes it
    private FileChannel spool(Path path, Set<? extends OpenOption> options) throws IOException {
        boolean grows = options.contains(StandardOpenOption.APPEND);
        boolean fresh = options.contains(StandardOpenOption.CREATE_NEW);
        boolean create = fresh || options.contains(StandardOpenOption.CREATE);
        boolean empty = fresh || options.contains(StandardOpenOption.TRUNCATE_EXISTING);
        Optional<ObjectStore.Info> there = empty && !grows && create ? Optional.empty() : store.find(name(path));
        if (fresh && there.isPresent()) {
            throw new java.nio.file.FileAlreadyExistsException(path.toString());
        }
        if (!create && there.isEmpty()) {
            throw new NoSuchFileException(path.toString());
        }
        Path uploads = Files.createDirectories(scratch.folder().resolve(".uploads"));
        Path file = Files.createTempFile(uploads, "", "");
        try {
            if (there.isPresent() && !empty) {
                try (InputStream in =
                        new ObjectInput(store, there.get(), 0, there.get().size())) {
                    Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
                }
            }
            FileChannel local = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
            if (grows) {
                ObjectStore.Condition first = there.<ObjectStore.Condition>map(
                                info -> new ObjectStore.IfUnchanged(info.etag()))
                        .orElse(new ObjectStore.IfAbsent());
                return SpoolChannel.growing(store, name(path), file, local, first, growth)
                        .position(local.size());
            }
            return SpoolChannel.whole(
                    store, name(path), file, local, fresh ? new ObjectStore.IfAbsent() : new ObjectStore.Always());
        } catch (IOException e) {
            Files.deleteIfExists(file);
            throw e;
        }
    }

    @Override
    public SeekableByteChannel newByteChannel(
            Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes) throws IOException {
        return newFileChannel(path, options, attributes);
    }

    @Override
    public InputStream newInputStream(Path path, OpenOption... options) throws IOException {
        if (isScratch(path)) {
            return Files.newInputStream(local(path), options);
        }
        ObjectStore.Info object = require(path);
        return new ObjectInput(store, object, 0, object.size());
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(Path folder, DirectoryStream.Filter<? super Path> filter)
            throws IOException {
        List<Path> found = new ArrayList<>();
        Path own = local(folder);
        if (Files.isDirectory(own)) {
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(own)) {
                for (Path entry : entries) {
                    Path child = folder.resolve(entry.getFileName().toString());
                    if (isScratch(child)) {
                        found.add(child);
                    }
                }
            }
        } else if (isScratch(folder)) {
            throw new NoSuchFileException(folder.toString());
        }
        if (!isScratch(folder)) {
            ObjectStore.Listing listing = store.list(name(folder), MAX_ENTRIES);
            Set<String> names = new HashSet<>();
            String prefix = name(folder).asFolder();
            listing.objects().forEach(o -> names.add(o.name().key().substring(prefix.length())));
            listing.folders().forEach(f -> names.add(f.substring(prefix.length(), f.length() - 1)));
            // Names that begin with a dot are files of this machine; such objects are not ours.
            names.removeIf(n -> n.isEmpty() || n.startsWith("."));
            if (names.isEmpty() && !Files.isDirectory(own)) {
                if (store.find(name(folder)).isPresent()) {
                    throw new NotDirectoryException(folder.toString());
                }
                throw new NoSuchFileException(folder.toString());
            }
            names.forEach(n -> found.add(folder.resolve(n)));
        }
        List<Path> accepted = new ArrayList<>();
        for (Path entry : found) {
            if (filter.accept(entry)) {
                accepted.add(entry);
            }
        }
        return new Entries(accepted);
    }

    private record Entries(List<Path> paths) implements DirectoryStream<Path> {
        @Override
        public Iterator<Path> iterator() {
            return paths.iterator();
        }

        @Override
        public void close() {}
    }

    @Override
    public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
        Files.createDirectories(local(folder));
    }

    @Override
    public void delete(Path path) throws IOException {
        if (isScratch(path)) {
            Files.delete(local(path));
            return;
        }
        if (store.find(name(path)).isPresent()) {
            store.delete(name(path));
            return;
        }
        ObjectStore.Listing inside = store.list(name(path), 1);
        if (!inside.objects().isEmpty() || !inside.folders().isEmpty()) {
            throw new DirectoryNotEmptyException(path.toString());
        }
        if (!Files.isDirectory(local(path))) {
            throw new NoSuchFileException(path.toString());
        }
        Scratch.delete(local(path));
    }

    @Override
    public void copy(Path from, Path to, CopyOption... options) throws IOException {
        if (isScratch(to)) {
            Files.createDirectories(local(to).getParent());
            if (isScratch(from)) {
                Files.copy(local(from), local(to), options);
                return;
            }
            try (InputStream in = newInputStream(from)) {
                boolean over = List.of(options).contains(StandardCopyOption.REPLACE_EXISTING);
                Files.copy(
                        in,
                        local(to),
                        over ? new CopyOption[] {StandardCopyOption.REPLACE_EXISTING} : new CopyOption[0]);
            }
            return;
        }
        upload(file(from), to, condition(options));
    }

    private static ObjectStore.Condition condition(CopyOption... options) {
        return List.of(options).contains(StandardCopyOption.REPLACE_EXISTING)
                ? new ObjectStore.Always()
                : new ObjectStore.IfAbsent();
    }

    private void upload(Path local, Path to, ObjectStore.Condition condition) throws IOException {
        if (!Files.isDirectory(local)) {
            store.put(name(to), local, condition);
            return;
        }
        List<Path> files;
        try (Stream<Path> all = Files.walk(local)) {
            files = all.filter(Files::isRegularFile)
                    .sorted(Comparator.<Path, Boolean>comparing(f -> f.equals(local.resolve(LAST)))
                            .thenComparing(Comparator.naturalOrder()))
                    .toList();
        }
        List<Path> done = new ArrayList<>();
        try {
            for (Path file : files) {
                Path target = to.resolve(local.relativize(file).toString());
                done.add(target);
                store.put(name(target), file, condition);
            }
        } catch (IOException e) {
            for (Path target : done) {
                try {
                    store.delete(name(target));
                } catch (IOException inner) {
                    e.addSuppressed(inner);
                }
            }
            throw e;
        }
    }

    @Override
    public void move(Path from, Path to, CopyOption... options) throws IOException {
        if (isScratch(from) && isScratch(to)) {
            Files.createDirectories(local(to).getParent());
            Files.move(local(from), local(to), options);
        } else if (isScratch(from)) {
            if (!Files.exists(local(from))) {
                throw new NoSuchFileException(from.toString());
            }
            upload(local(from), to, condition(options));
            Scratch.delete(local(from));
        } else {
            copy(
                    from,
                    to,
                    List.of(options).contains(StandardCopyOption.REPLACE_EXISTING)
                            ? new CopyOption[] {StandardCopyOption.REPLACE_EXISTING}
                            : new CopyOption[0]);
            store.delete(name(from));
        }
    }

    /** A second name that nobody had: of several who try, one succeeds. */
    @Override
    public void createLink(Path link, Path existing) throws IOException {
        if (isScratch(link)) {
            throw new UnsupportedOperationException("links lead to objects");
        }
        store.put(name(link), file(existing), new ObjectStore.IfAbsent());
    }

    @Override
    public boolean isSameFile(Path one, Path other) {
        return one.equals(other) || other instanceof ObjectPath && name(one).equals(name(other));
    }

    @Override
    public boolean isHidden(Path path) {
        return isScratch(path);
    }

    /** The store of this machine through which everything goes that is written. */
    @Override
    public FileStore getFileStore(Path path) throws IOException {
        return Files.getFileStore(scratch.folder());
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
        attributes(path);
    }

    private BasicFileAttributes attributes(Path path) throws IOException {
        if (isScratch(path)) {
            return Files.readAttributes(local(path), BasicFileAttributes.class);
        }
        Optional<ObjectStore.Info> object = store.find(name(path));
        if (object.isEmpty() && !Files.isDirectory(local(path))) {
            ObjectStore.Listing inside = store.list(name(path), 1);
            if (inside.objects().isEmpty() && inside.folders().isEmpty() && path.getNameCount() > 0) {
                throw new NoSuchFileException(path.toString());
            }
        }
        return new ObjectAttributes(object);
    }

    /** The caller can't tell an error from "is not there", and would go on as if it were not. */
    @Override
    public boolean exists(Path path, LinkOption... options) {
        return readAttributesIfExists(path, BasicFileAttributes.class, options) != null;
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributesIfExists(Path path, Class<A> type, LinkOption... options) {
        try {
            return type.cast(attributes(path));
        } catch (NoSuchFileException e) {
            return null;
        } catch (IOException e) {
            throw failed(e);
        }
    }

    static TrainerException failed(IOException e) {
        boolean permanent = e instanceof StoreException refused && refused.permanent();
        return new TrainerException(
                permanent ? ExitCode.InvalidConfiguration : ExitCode.StorageFailed, e.getMessage(), e);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(Path path, Class<A> type, LinkOption... options)
            throws IOException {
        return type.cast(attributes(path));
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String attributes, LinkOption... options) {
        throw new UnsupportedOperationException("attributes by name");
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(Path path, Class<V> type, LinkOption... options) {
        return type == BasicFileAttributeView.class ? type.cast(new View(this, path)) : null;
    }

    private record View(ObjectProvider provider, Path path) implements BasicFileAttributeView {
        @Override
        public String name() {
            return "basic";
        }

        @Override
        public BasicFileAttributes readAttributes() throws IOException {
            return provider.attributes(path);
        }

        @Override
        public void setTimes(FileTime modified, FileTime accessed, FileTime created) {
            throw new UnsupportedOperationException("objects get their time from the store");
        }
    }

    @Override
    public void setAttribute(Path path, String attribute, Object value, LinkOption... options) {
        throw new UnsupportedOperationException("objects get their attributes from the store");
    }

    @Override
    public String getScheme() {
        return "s3";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
        throw new UnsupportedOperationException("use Buckets");
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
        throw new UnsupportedOperationException("use Buckets");
    }

    @Override
    public Path getPath(URI uri) {
        throw new UnsupportedOperationException("use Buckets");
    }
}
