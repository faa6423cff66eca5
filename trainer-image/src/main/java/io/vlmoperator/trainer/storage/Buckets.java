package io.vlmoperator.trainer.storage;

import io.vlmoperator.api.run.PodEnvironment;
import io.vlmoperator.trainer.TrainerException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The way from {@code s3://bucket/key} to paths, and what the rest of the trainer must know about such paths. */
public final class Buckets {
    /** Folder of the copies that are made of objects; default: {@code vlm-cache} in Java's folder for temporary files. */
    public static final String CACHE = PodEnvironment.CACHE;

    /** Bound of that folder; default: four fifths of the room there is. */
    public static final String CACHE_MIB = "VLM_CACHE_MIB";

    private static final Pattern LOCATION = Pattern.compile("s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?");
    private static final Duration GROWTH = Duration.ofSeconds(30);

    private final ObjectProvider provider;
    private final Map<String, ObjectFileSystem> known = new ConcurrentHashMap<>();

    private Buckets(ObjectProvider provider) {
        this.provider = provider;
    }

    /**
     * Buckets as the environment names them: {@code AWS_...} and {@code VLM_CACHE...}.
     *
     * @throws TrainerException InvalidConfiguration, or StorageFailed when the cache's folder can't be made
     */
    public static Buckets of(Map<String, String> environment) {
        Path folder = Path.of(environment.getOrDefault(
                CACHE,
                Path.of(System.getProperty("java.io.tmpdir"), "vlm-cache").toString()));
        String mib = environment.getOrDefault(CACHE_MIB, "");
        if (!mib.matches("\\d{0,9}")) {
            throw TrainerException.configuration(CACHE_MIB + "='" + mib + "' is no number of MiB");
        }
        try {
            Files.createDirectories(folder);
            long bound =
                    mib.isEmpty() ? Files.getFileStore(folder).getUsableSpace() / 5 * 4 : Long.parseLong(mib) << 20;
            return of(new S3Store(environment), folder, bound, GROWTH);
        } catch (IOException e) {
            throw TrainerException.storage("can't use " + folder + " for copies of objects (" + CACHE + "): " + e, e);
        } catch (IllegalArgumentException e) {
            throw TrainerException.configuration("AWS_ENDPOINT_URL is no URL: " + e.getMessage());
        }
    }

    /**
     * Buckets of a store.
     *
     * @param bound bytes of the copies
     * @param growth time between uploads of files that grow
     */
    static Buckets of(ObjectStore store, Path folder, long bound, Duration growth) throws IOException {
        Cache cache = new Cache(folder.resolve("objects"), bound, Clock.systemUTC());
        return new Buckets(new ObjectProvider(store, Scratch.in(folder.resolve("scratch")), cache, growth));
    }

    /**
     * The path of a location. The first of each bucket is looked at, so that wrong names and credentials are told before any work.
     *
     * @throws TrainerException InvalidConfiguration with what to set; StorageFailed when the store does not answer
     */
    public Path path(String location) {
        Matcher parts = LOCATION.matcher(location);
        if (!parts.matches()) {
            throw TrainerException.configuration("'" + location + "' is no location; write s3://bucket/key");
        }
        String rest = "/" + (parts.group(2) == null ? "" : parts.group(2));
        ObjectFileSystem files = known.get(parts.group(1));
        if (files == null) {
            ObjectFileSystem fresh = new ObjectFileSystem(provider, parts.group(1));
            try {
                Path parent = fresh.getPath(rest).getParent();
                provider.check(parent == null ? fresh.getPath(rest) : parent);
            } catch (IOException e) {
                throw ObjectProvider.failed(e);
            }
            ObjectFileSystem before = known.putIfAbsent(parts.group(1), fresh);
            files = before == null ? fresh : before;
        }
        Path path = files.getPath(rest);
        if (((ObjectPath) path).isScratch()) {
            throw TrainerException.configuration(
                    location + ": a name in a bucket that begins with a dot is a temporary file here; choose another");
        }
        return path;
    }

    /** Whether a path leads to an object store. */
    public static boolean isRemote(Path path) {
        return path instanceof ObjectPath;
    }

    /**
     * A file of this machine with the content of the path, for libraries that read (or, where a name begins with a dot, write) files only.
     * Paths of this machine are returned as they are.
     *
     * @throws TrainerException StorageFailed
     */
    public static Path local(Path path) {
        if (!(path instanceof ObjectPath object)) {
            return path;
        }
        try {
            return object.getFileSystem().provider().file(object);
        } catch (java.nio.file.NoSuchFileException e) {
            throw TrainerException.data(path + " does not exist");
        } catch (IOException e) {
            throw ObjectProvider.failed(e);
        }
    }

    /**
     * Ends uploads under a folder that programs which are gone have left; they cost room and nobody sees them.
     *
     * @return how many; 0 for a folder of this machine
     */
    public static int abortUploads(Path folder) throws IOException {
        return folder instanceof ObjectPath object
                ? object.getFileSystem().provider().abortUploads(object)
                : 0;
    }

    /**
     * Makes an object of the content of others of the same bucket, in their order; nothing is sent over the network. They stay.
     *
     * @param parts at most 10,000, each but the last of at least 5 MiB
     * @param joined told after each of them
     */
    public static void join(List<Path> parts, Path target, Runnable joined) throws IOException {
        ((ObjectPath) target).getFileSystem().provider().join(parts, target, joined);
    }
}
