package io.vlmoperator.trainer;

import io.vlmoperator.trainer.storage.Buckets;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Turns {@code Location} strings of the API into paths: {@code pvc://CLAIM/path} through the folder that a claim is mounted at,
 * {@code file:///path} as it stands, {@code s3://bucket/key} through the bucket. Brace ranges ({@code {00000..01302}}) and {@code *} are for lists only ({@link #expand}).
 */
public final class Locations {
    /** More files than this in one list is a mistake of the pattern. */
    private static final int MAX_FILES = 1_000_000;

    private static final Pattern CLAIM = Pattern.compile("pvc://([a-z0-9]([-a-z0-9.]*[a-z0-9])?)(?:/(.*))?");
    private static final Pattern RANGE = Pattern.compile("\\{(\\d{1,9})\\.\\.(\\d{1,9})}");

    private final Function<String, Optional<Path>> claims;
    private final String howToMount;
    /** Whether the folder behind a claim says something to the one who mounted it; a pod's says nothing. */
    private final boolean showsPaths;

    private final Supplier<Buckets> buckets;

    private Locations(
            Function<String, Optional<Path>> claims, String howToMount, boolean showsPaths, Supplier<Buckets> buckets) {
        this.claims = claims;
        this.howToMount = howToMount;
        this.showsPaths = showsPaths;
        this.buckets = buckets;
    }

    /** The same with object storage as these variables name it ({@code AWS_...}, {@code VLM_CACHE...}), not this process's own. */
    public Locations in(Map<String, String> environment) {
        return new Locations(claims, howToMount, showsPaths, bucketsOf(environment));
    }

    /** The same with these buckets. */
    public Locations with(Buckets others) {
        return new Locations(claims, howToMount, showsPaths, () -> others);
    }

    /** Made when the first location asks for them: most runs have none. */
    private static Supplier<Buckets> bucketsOf(Map<String, String> environment) {
        AtomicReference<Buckets> made = new AtomicReference<>();
        return () -> {
            synchronized (made) {
                if (made.get() == null) {
                    made.set(Buckets.of(environment));
                }
                return made.get();
            }
        };
    }

    /** Every claim is a folder of that name under the root, as in a pod. */
    public static Locations under(Path mountRoot) {
        return new Locations(
                claim -> Optional.of(mountRoot.resolve(claim)).filter(Files::isDirectory),
                "is it mounted at " + mountRoot + "?",
                false,
                bucketsOf(System.getenv()));
    }

    /** Each claim has a folder of its own, as with {@code vlm-trainer run --mount CLAIM=FOLDER}. */
    public static Locations of(Map<String, Path> folders) {
        Map<String, Path> copy = Map.copyOf(folders);
        return new Locations(
                claim -> Optional.ofNullable(copy.get(claim)),
                "add --mount CLAIM=FOLDER for it",
                true,
                bucketsOf(System.getenv()));
    }

    /**
     * The one path that a location names; it need not exist.
     *
     * @throws TrainerException InvalidConfiguration for an unknown claim or scheme, {@code ..}, or a pattern
     */
    public Path resolve(String location) {
        if (location.contains("*") || RANGE.matcher(location).find()) {
            throw TrainerException.configuration(
                    location + " names a list of files, but one file or folder is wanted here");
        }
        return path(location);
    }

    /**
     * The existing files that a location with brace ranges and {@code *} names: ranges in their order, matches of {@code *} sorted by
     * name. A {@code *} stays inside one folder.
     *
     * @throws TrainerException InvalidData when a file is missing or nothing matches; InvalidConfiguration as for {@link #resolve}
     */
    public List<Path> expand(String location) {
        List<String> names = new ArrayList<>();
        expandRanges(location, names);
        List<Path> files = new ArrayList<>();
        for (String name : names) {
            if (name.contains("*")) {
                files.addAll(matches(path(name.replace("*", "\u0001")), name));
            } else {
                Path file = path(name);
                if (!Files.exists(file)) {
                    throw TrainerException.data(
                            name + " does not exist" + (showsPaths ? " (looked at " + file + ")" : ""));
                }
                files.add(file);
            }
            requireBounded(files.size(), location);
        }
        return List.copyOf(files);
    }

    private Path path(String location) {
        if (location.startsWith("s3://")) {
            return withoutClimbing(buckets.get().path(location), location);
        }
        Path path;
        Matcher claim = CLAIM.matcher(location);
        if (claim.matches()) {
            Path root = claims.apply(claim.group(1))
                    .orElseThrow(() -> TrainerException.configuration(
                            location + ": claim " + claim.group(1) + " is not here; " + howToMount));
            String inside = claim.group(3) == null ? "" : claim.group(3);
            path = root.resolve(inside.replaceFirst("^/+", ""));
        } else if (location.startsWith("file:///")) {
            path = Path.of(location.substring("file://".length()));
        } else {
            throw TrainerException.configuration(
                    "'" + location
                            + "' is no location; write pvc://CLAIM/path or s3://bucket/key (or file:///path outside Kubernetes)");
        }
        return withoutClimbing(path, location);
    }

    private static Path withoutClimbing(Path path, String location) {
        for (Path part : path) {
            if (part.toString().equals("..")) {
                throw TrainerException.configuration(location + ": '..' is not allowed in a location");
            }
        }
        return path;
    }

    private static void expandRanges(String text, List<String> out) {
        Matcher range = RANGE.matcher(text);
        if (!range.find()) {
            out.add(text);
            return;
        }
        int from = Integer.parseInt(range.group(1));
        int to = Integer.parseInt(range.group(2));
        if (to < from) {
            throw TrainerException.configuration(text + ": the range " + range.group() + " is empty");
        }
        requireBounded((long) to - from + 1, text);
        int width = range.group(1).length();
        for (int i = from; i <= to; i++) {
            String digits = Integer.toString(i);
            String padded = "0".repeat(Math.max(0, width - digits.length())) + digits;
            expandRanges(text.substring(0, range.start()) + padded + text.substring(range.end()), out);
            requireBounded(out.size(), text);
        }
    }

    private static void requireBounded(long files, String location) {
        if (files > MAX_FILES) {
            throw TrainerException.configuration(location + " names more than " + MAX_FILES + " files");
        }
    }

    private List<Path> matches(Path pattern, String location) {
        Path folder = pattern.getParent();
        if (folder == null || folder.toString().contains("\u0001")) {
            throw TrainerException.configuration(location + ": '*' is allowed in the last part only");
        }
        String name = pattern.getFileName().toString();
        StringBuilder glob = new StringBuilder("glob:");
        for (char c : name.toCharArray()) {
            glob.append(c == '\u0001' ? "*" : "{}[]\\?".indexOf(c) >= 0 ? "\\" + c : String.valueOf(c));
        }
        PathMatcher matcher = folder.getFileSystem().getPathMatcher(glob.toString());
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                if (matcher.matches(entry.getFileName())) {
                    found.add(entry);
                    requireBounded(found.size(), location);
                }
            }
        } catch (IOException e) {
            throw new TrainerException(
                    io.vlmoperator.api.run.ExitCode.InvalidData,
                    location + ": "
                            + (showsPaths ? "can't list " + folder : "its folder can't be listed; does it exist?"),
                    e);
        }
        if (found.isEmpty()) {
            throw TrainerException.data(location + " matches no file" + (showsPaths ? " in " + folder : ""));
        }
        found.sort(null);
        return found;
    }

    /** The location of a path: {@code s3://} for object storage, {@code file://} for a file of this machine. */
    public static String fileLocation(Path path) {
        return Buckets.isRemote(path)
                ? path.toAbsolutePath().normalize().toString()
                : "file://" + path.toAbsolutePath().normalize();
    }
}
