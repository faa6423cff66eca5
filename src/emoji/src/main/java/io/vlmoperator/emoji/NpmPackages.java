package io.vlmoperator.emoji;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The three npm packages with the drawings, kept in a cache outside the checkout.
 *
 * <p>A package is fetched with {@code npm pack}, checked against the SHA-256 that is pinned here and renamed into place, so
 * the cache never holds half a package. A cached package is checked too, and fetched anew when it was damaged.
 */
public final class NpmPackages {
    /** The version of all three packages. */
    public static final String VERSION = "16.0.0";

    private static final long FETCH_SECONDS = 600;
    private static final int MAX_LOG_CHARACTERS = 2_000;

    private final Path cache;
    private final String npm;

    /** @param cache the folder that holds the packages; made when it is missing */
    public NpmPackages(Path cache) {
        this(cache, "npm");
    }

    NpmPackages(Path cache, String npm) {
        this.cache = cache;
        this.npm = npm;
    }

    /** {@code $XDG_CACHE_HOME/vlm-operator/emoji}, or the same under {@code ~/.cache}. */
    public static Path defaultCache() {
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base =
                xdg != null && xdg.startsWith("/") ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("vlm-operator").resolve("emoji");
    }

    /** The npm name of a drawing set's package, with its version. */
    public static String packageOf(DrawingSet set) {
        return "emoji-datasource-" + set.id() + "@" + VERSION;
    }

    /** The SHA-256 of the package's tarball, as the registry has served it since its publication. */
    public static String sha256Of(DrawingSet set) {
        return switch (set) {
            case GOOGLE -> "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438";
            case TWITTER -> "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877";
            case FACEBOOK -> "017038cf5a4e7fcf03dd9133cbed43d4c281c4b3ce7b927c7160261b92b8821e";
        };
    }

    /** The file that holds the package of a drawing set, whether it is there or not. */
    public Path file(DrawingSet set) {
        return cache.resolve("emoji-datasource-" + set.id() + "-" + VERSION + ".tgz");
    }

    /**
     * All packages, fetched where they are missing.
     *
     * @throws EmojiException when npm is missing, cannot reach its registry, or delivers other bytes than the pinned ones
     */
    public Map<DrawingSet, Path> fetchAll() {
        Map<DrawingSet, Path> files = new EnumMap<>(DrawingSet.class);
        for (DrawingSet set : DrawingSet.values()) {
            files.put(set, fetch(set));
        }
        return files;
    }

    private Path fetch(DrawingSet set) {
        Path file = file(set);
        try {
            if (Files.isRegularFile(file) && Digests.sha256(file).equals(sha256Of(set))) {
                return file;
            }
            Files.createDirectories(cache);
            Path folder = Files.createTempDirectory(cache, ".fetch-");
            try {
                Path fetched = pack(set, folder);
                String digest = Digests.sha256(fetched);
                if (!digest.equals(sha256Of(set))) {
                    throw new EmojiException(
                            packageOf(set) + " arrived with SHA-256 " + digest + " but " + sha256Of(set)
                                    + " is expected. The registry or a proxy served something else: nothing was kept. Check 'npm config get registry'.");
                }
                moveIntoPlace(fetched, file);
            } finally {
                deleteTree(folder);
            }
            return file;
        } catch (IOException e) {
            throw new EmojiException(
                    "Cannot store " + packageOf(set) + " under " + cache + ": " + e.getMessage()
                            + ". Free some space (250 MB in all) or choose another folder with --cache.",
                    e);
        }
    }

    private Path pack(DrawingSet set, Path folder) throws IOException {
        Path log = folder.resolve("npm.log");
        Process process;
        try {
            process = new ProcessBuilder(npm, "pack", packageOf(set), "--pack-destination", folder.toString())
                    .directory(folder.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
        } catch (IOException e) {
            throw new EmojiException(
                    "npm cannot be started (" + e.getMessage() + "). Install npm, or put "
                            + file(set).getFileName() + " into " + cache + " yourself.",
                    e);
        }
        try {
            if (!process.waitFor(FETCH_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw failed(set, "it took longer than " + FETCH_SECONDS + " s", log);
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
            throw new EmojiException("Interrupted while fetching " + packageOf(set) + ".", e);
        }
        if (process.exitValue() != 0) {
            throw failed(set, "npm ended with code " + process.exitValue(), log);
        }
        Path fetched = folder.resolve(file(set).getFileName().toString());
        if (!Files.isRegularFile(fetched)) {
            throw failed(set, "npm left no " + fetched.getFileName(), log);
        }
        return fetched;
    }

    private EmojiException failed(DrawingSet set, String what, Path log) throws IOException {
        String text =
                Files.isRegularFile(log) ? new String(Files.readAllBytes(log), StandardCharsets.UTF_8).strip() : "";
        String tail = text.substring(Math.max(0, text.length() - MAX_LOG_CHARACTERS));
        return new EmojiException("Cannot fetch " + packageOf(set) + ": " + what
                + ". Without a network, copy " + file(set).getFileName() + " from a machine that has one into " + cache
                + ". npm said:\n" + tail);
    }

    private static void moveIntoPlace(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static void deleteTree(Path folder) throws IOException {
        List<Path> paths = new ArrayList<>();
        try (Stream<Path> walk = Files.walk(folder)) {
            walk.sorted(Comparator.reverseOrder()).forEach(paths::add);
        }
        for (Path path : paths) {
            Files.deleteIfExists(path);
        }
    }
}
